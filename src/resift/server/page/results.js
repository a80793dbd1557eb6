// One model's ranking: a table, the times, and the request as code.

import { asCurl, asPython } from "./code.js";
import { make, shownText, unread } from "./texts.js";

const number = (value, digits = 4) => (typeof value === "number" ? value.toFixed(digits) : "none");

/** The section of a ranking. `asked` is the request's body; `url` and `withKey` are for the code. */
export function shownRanking(ranking, asked, { url, withKey, seconds, place }) {
  const heading = make("h2", { id: `model-${place}` }, ranking.model);
  return make(
    "section",
    { "aria-labelledby": heading.id },
    heading,
    ...remarks(ranking, asked),
    make("div", { class: "wide" }, table(ranking, asked)),
    times(ranking, seconds),
    make("h3", {}, "The same request"),
    code("as curl", asCurl(url, asked, withKey), ranking.model),
    code("as Python", asPython(url, asked, withKey), ranking.model),
  );
}

/** The ranking in one sentence, to be announced. */
export function summary(ranking) {
  const count = ranking.results.length;
  const best = ranking.results[0];
  const first = best ? `; the first was ${best.index + 1} before` : "";
  return `${ranking.model}: ${count} ${count === 1 ? "document" : "documents"} ranked${first}.`;
}

function remarks(ranking, asked) {
  const about = [ranking.backend, ranking.device, ranking.precision].filter(Boolean).join(", ");
  const found = [make("p", { class: "about" }, `Status: ${ranking.status}. Run by ${about}.`)];
  const left = asked.documents.length - ranking.results.length;
  const add = (text) => found.push(make("p", {}, text));
  if (left) add(`${left} of ${asked.documents.length} documents are left out, by the options.`);
  if (ranking.query_truncated) add("The query was cut, too: it is too long for the model.");
  if (ranking.error) add(`The order given stands: ${ranking.error}`);
  return found;
}

const COLUMNS = [
  { name: "Now", kind: "narrow", of: (row) => row.now, sorted: "ascending" },
  { name: "Before", kind: "narrow", of: (row) => row.before },
  { name: "Moved", kind: "number" },
  { name: "Score", kind: "number", of: (row) => -(row.result.score ?? -Infinity), falls: true },
  { name: "Logit", kind: "number" },
  { name: "Document", kind: "" },
];

function table(ranking, asked) {
  const rows = ranking.results.map((result, at) => {
    const made = { result, now: at + 1, before: result.index + 1 };
    return { ...made, element: shownRow(made, asked) };
  });
  const body = make("tbody", {}, ...rows.map((each) => each.element));
  const caption = make("caption", {}, `Ranked by ${ranking.model}, best first`);
  const heads = COLUMNS.map((column) => head(column, () => {
    // The sort is stable, and the order before it is always that of the ranking.
    const sorted = [...rows].sort((a, b) => column.of(a) - column.of(b) || a.now - b.now);
    body.replaceChildren(...sorted.map((each) => each.element));
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    heads[COLUMNS.indexOf(column)].setAttribute("aria-sort", column.falls ? "descending" : "ascending");
    caption.textContent = `Ranked by ${ranking.model}, in the order of “${column.name}”`;
  }));
  return make("table", {}, caption, make("thead", {}, make("tr", {}, ...heads)), body);
}

function head({ name, kind, of, sorted }, sort) {
  const label = of ? make("button", { type: "button", onclick: sort }, name) : name;
  return make("th", { scope: "col", class: kind, "aria-sort": sorted ?? null }, label);
}

function shownRow({ result, now, before }, asked) {
  const steps = before - now;
  const moved = steps ? `${steps > 0 ? "up" : "down"} ${Math.abs(steps)}` : "same";
  const given = asked.first_stage_scores?.[result.index];
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, String(now)),
    make("td", {}, String(before), ...(given === undefined ? [] : [make("div", {}, `score ${number(given, 3)}`)])),
    make("td", { class: moved.split(" ")[0] }, moved),
    make("td", {}, result.score === null ? "not scored" : number(result.score)),
    make("td", {}, number(result.logit, 3)),
    make("td", {}, ...unread(result), ...shownText(asked.documents[result.index], result.cut_at)),
  );
}

const PHASES = ["load", "queue", "tokenize", "infer", "rank", "total"];

function times(ranking, seconds) {
  const known = PHASES.filter((name) => name in ranking.timings);
  const others = Object.keys(ranking.timings).filter((name) => !PHASES.includes(name));
  const items = [...known, ...others].map((name) => [name, ranking.timings[name]]);
  items.push(["with the way here", seconds]);
  const terms = items.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, `${number(value * 1000, 1)} ms`)));
  return make("div", {}, make("h3", {}, "Times"), make("dl", {}, ...terms));
}

function code(name, text, model) {
  const said = make("span", { role: "status" });
  const label = `${model} ${name}`;
  const block = make("pre", { tabindex: "0", role: "region", "aria-label": label }, make("code", {}, text));
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "copied";
    } catch {
      // Without https, or leave, there is no clipboard.
      getSelection().selectAllChildren(block);
      said.textContent = "selected: copy it with your keyboard";
    }
  };
  const button = make("button", { type: "button", onclick: copy }, `Copy ${name}`);
  return make("details", {}, make("summary", {}, name), block, make("p", { class: "row" }, button, said));
}
