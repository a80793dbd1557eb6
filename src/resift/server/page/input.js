// Documents from what was pasted or dropped, and the request that they and the form make.

export class InputError extends Error {}

/** The documents of a text: `{texts, scores}`, with scores null unless every document has one. */
export function readDocuments(text, form) {
  if (form === "jsonl") return readLines(text).documents;
  const parts = form === "lines" ? text.split(/\r?\n/) : text.split(/(?:\r?\n[^\S\n]*){2,}/);
  const texts = parts.map((each) => each.trim()).filter(Boolean);
  return { texts, scores: null, missing: 0 };
}

/** JSON Lines: `{queries, documents}`, of which one is empty. Raises InputError with the line. */
export function readLines(text) {
  const queries = [];
  const documents = [];
  text.split(/\r?\n/).forEach((line, at) => {
    if (!line.trim()) return;
    const given = parsed(line, `line ${at + 1}`);
    if (isObject(given) && "query" in given) {
      queries.push(asQuery(given, `line ${at + 1}`));
    } else {
      documents.push(asDocument(given, `line ${at + 1}`));
    }
  });
  if (queries.length && documents.length) {
    throw new InputError("Some lines have a query and others are documents: give one kind.");
  }
  return { queries, documents: withScores(documents) };
}

/** Documents as JSON Lines, as the text field shows those of a file. */
export function writeLines(documents) {
  return documents.map((each) => JSON.stringify(each.score === null ? each.text : each)).join("\n");
}

function withScores(documents) {
  const scores = documents.map((each) => each.score);
  const missing = scores.filter((each) => each === null).length;
  return {
    texts: documents.map((each) => each.text),
    scores: documents.length && !missing ? scores : null,
    missing: missing < documents.length ? missing : 0,
  };
}

function parsed(line, where) {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new InputError(`${where} isn’t JSON: ${error.message}`);
  }
}

const isObject = (given) => given !== null && typeof given === "object" && !Array.isArray(given);

function asQuery(given, where) {
  if (typeof given.query !== "string" || !Array.isArray(given.documents)) {
    throw new InputError(`${where}: “query” must be a string and “documents” a list.`);
  }
  const documents = given.documents.map((each, at) => asDocument(each, `${where}, document ${at + 1}`));
  return { query: given.query, documents };
}

function asDocument(given, where) {
  if (typeof given === "string") return { text: given, score: null };
  if (!isObject(given) || typeof given.text !== "string") {
    throw new InputError(`${where} must be a string, or an object whose “text” is one.`);
  }
  const score = given.score ?? null;
  if (score !== null && typeof score !== "number") {
    throw new InputError(`${where}: “score” must be a number.`);
  }
  return { text: given.text, score };
}

const NUMBERS = ["top_n", "max_length", "deadline_ms"];
const WORDS = ["long_documents", "normalization", "prune"];

/** The body of a request to v1/rank. `field` gives the text of a form field by its id. */
export function bodyOf(query, documents, model, field) {
  const body = { query, documents: documents.texts };
  if (documents.scores) body.first_stage_scores = documents.scores;
  if (model) body.model = model;
  for (const name of NUMBERS) if (field(name)) body[name] = Number(field(name));
  for (const name of WORDS) if (field(name)) body[name] = field(name);
  const prior = field("prior").trim();
  if (prior) body.prior = prior === "auto" ? prior : Number(prior);
  body.return_cuts = true;
  return body;
}

export const SAMPLE = {
  query: "how do I sort a dictionary by value",
  documents: [
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "A dictionary lists the words of a language in alphabetical order and explains each of them.",
    "Since Python 3.7, a dict keeps the order in which its keys were inserted.",
    "sorted(d.items(), key=lambda item: item[1]) gives the pairs of a dict in the order of their values.",
    "The museum is closed on Mondays.",
    "list.sort sorts a list in place; it takes the same key function as sorted does.",
  ],
};
