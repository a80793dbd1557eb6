// The page: what its controls do.

import { bodyOf, InputError, readDocuments, readLines, SAMPLE, writeLines } from "./input.js";
import { shownRanking, summary } from "./results.js";
import { address, ask, ServerError } from "./server.js";

const at = (id) => document.getElementById(id);
const form = at("form");
const separator = () => form.elements.form.value;
let running = null;
let queries = [];
let usual = null;

function read() {
  return readDocuments(at("documents").value, separator());
}

function count() {
  try {
    const { texts, missing, scores } = read();
    const told = scores ? ", with their scores" : "";
    const untold = missing ? `; ${missing} without a score, so none is sent` : "";
    at("counted").textContent = `${texts.length} ${texts.length === 1 ? "document" : "documents"}${told}${untold}`;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    at("counted").textContent = error.message;
  }
}

function fail(error) {
  if (!(error instanceof InputError || error instanceof ServerError)) throw error;
  at("status").textContent = "";
  at("error").textContent = error.message;
}

const clear = () => { at("error").textContent = ""; };

function setDocuments(text, kind) {
  at("documents").value = text;
  form.elements.form.value = kind;
  count();
}

function useSample() {
  at("query").value = SAMPLE.query;
  setDocuments(SAMPLE.documents.join("\n"), "lines");
  offer([]);
  at("status").textContent = `The sample is in the fields: ${SAMPLE.documents.length} documents.`;
}

/** Show the queries of a file to choose from. */
function offer(found) {
  queries = found;
  at("pick").hidden = !found.length;
  at("asked").replaceChildren(...found.map((each, place) => new Option(each.query.slice(0, 80), place)));
  if (found.length) choose(0);
}

function choose(place) {
  at("query").value = queries[place].query;
  setDocuments(writeLines(queries[place].documents), "jsonl");
}

async function take(file) {
  clear();
  try {
    const text = (await file.text()).replace(/^\ufeff/, "");
    const found = readLines(text);
    if (!found.queries.length) setDocuments(text.trim(), "jsonl");
    offer(found.queries);
    const documents = found.documents.texts.length;
    const what = found.queries.length ? `${found.queries.length} queries` : `${documents} documents`;
    at("status").textContent = `${file.name} is read: ${what}.`;
  } catch (error) {
    if (error instanceof InputError) error.message = `${file.name}: ${error.message}`;
    fail(error);
  }
}

async function listModels() {
  try {
    const { data } = await ask("v1/models", { key: at("key").value });
    usual = data.find((each) => each.default)?.id;
    for (const id of ["model", "other"]) {
      const chosen = at(id).value;
      const known = data.map((each) =>
        new Option(`${each.id}${each.default ? ", the default" : ""}${each.loaded ? "" : ", not loaded yet"}`, each.id));
      at(id).replaceChildren(at(id).options[0], ...known);
      at(id).value = data.some((each) => each.id === chosen) ? chosen : "";
    }
    clear();
  } catch (error) {
    fail(error);
  }
}

async function rank() {
  clear();
  const key = at("key").value;
  const documents = read();
  if (!documents.texts.length) throw new InputError("There are no documents: paste some, or use the sample.");
  const models = [at("model").value, ...(at("other").value ? [at("other").value] : [])];
  if (models[1] === (models[0] || usual)) throw new InputError(`Both models are ${models[1]}: choose another one beside it.`);
  const shown = [];
  at("results").replaceChildren();
  at("status").textContent = `Ranking ${documents.texts.length} documents …`;
  // One after the other, so that neither takes time from the other.
  for (const [place, model] of models.entries()) {
    const body = bodyOf(at("query").value, documents, model, (id) => at(id).value);
    const start = performance.now();
    const { rankings } = await ask("v1/rank", { body, key, signal: running.signal });
    if (!Array.isArray(rankings?.[0]?.results)) throw new ServerError("The server’s answer isn’t a ranking.");
    const seconds = (performance.now() - start) / 1000;
    const about = { url: address("v1/rank"), withKey: Boolean(key), seconds, place };
    at("results").append(shownRanking(rankings[0], body, about));
    shown.push(summary(rankings[0]));
  }
  at("status").textContent = shown.join(" ");
}

async function run() {
  if (running) return;
  running = new AbortController();
  at("stop").disabled = false;
  at("results").setAttribute("aria-busy", "true");
  try {
    await rank();
  } catch (error) {
    if (error.name === "AbortError") at("status").textContent = "Stopped.";
    else fail(error);
  } finally {
    running = null;
    at("stop").disabled = true;
    at("results").removeAttribute("aria-busy");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
// In closed options, what is invalid couldn't be shown.
at("options").addEventListener("invalid", () => { at("options").open = true; }, true);
at("documents").addEventListener("input", count);
form.addEventListener("change", (event) => { if (event.target.name === "form") count(); });
at("asked").addEventListener("change", () => choose(Number(at("asked").value)));
at("file").addEventListener("change", () => { if (at("file").files.length) take(at("file").files[0]); });
at("key").addEventListener("change", listModels);
at("sample").addEventListener("click", useSample);
at("stop").addEventListener("click", () => running?.abort());

for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

count();
listModels();
