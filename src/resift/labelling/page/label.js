// The page: shows a pair, and sends what its buttons and keys say.

const at = (id) => document.getElementById(id);
const ACTIONS = ["back", "skip", "quit"];
const KEYS = { u: "back", s: "skip", q: "quit" };
let shown = null;
let waiting = false;
let ended = false;

async function ask(body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch("state", options || {});
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

/** Send an action for the pair that is shown. What is pressed meanwhile isn't meant for the next. */
async function act(body, said) {
  if (waiting || ended || (!shown && body)) return;
  waiting = true;
  at("controls").setAttribute("aria-busy", "true");
  try {
    show(await ask(body && { at: shown.at, ...body }), said);
    if (body?.do === "quit") end();
  } catch (error) {
    at("error").textContent = `That didn’t work, and nothing was saved: ${error.message}. Is resift label still running? What was saved before is safe.`;
  } finally {
    waiting = false;
    at("controls").removeAttribute("aria-busy");
  }
}

function show(state, said) {
  const moved = shown?.at !== state.at;
  shown = state;
  at("error").textContent = "";
  const { done, total, skipped } = state;
  at("progress").max = total;
  at("progress").value = done;
  at("counted").textContent = `${done} of ${total} done${skipped ? `, ${skipped} skipped` : ""}`;
  at("pair").hidden = state.at === null;
  at("skip").disabled = state.at === null;
  showGrades(state);
  at("query").textContent = state.query ?? "";
  at("document").replaceChildren(...(state.document ?? []).map(piece));
  const again = typeof state.given === "number" ? `It has the grade ${state.given}, and keeps it unless you give another.` : "";
  const finished = state.at === null ? `There is nothing more to ask${skipped ? "; start again for what was skipped" : ""}.` : "";
  at("status").textContent = [said, `${done} of ${total} done.`, again, finished].filter(Boolean).join(" ");
  if (moved) {
    scrollTo(0, 0);
    // For screen readers, and for the space bar, which pages.
    (state.at === null ? at("back") : at("pair")).focus({ preventScroll: true });
  }
}

function showGrades({ grades, at: place, given }) {
  at("grades").replaceChildren(...grades.map(([grade, meaning]) => {
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = grade;
    button.type = "button";
    button.disabled = place === null;
    button.dataset.grade = grade;
    if (given === grade) button.setAttribute("aria-pressed", "true");
    button.append(key, ` ${meaning}`);
    button.addEventListener("click", () => judge(grade));
    return button;
  }));
}

const judge = (grade) => act({ do: "grade", grade }, `Saved: ${grade}.`);

function piece([text, isWord]) {
  if (!isWord) return document.createTextNode(text);
  const mark = document.createElement("mark");
  mark.textContent = text;
  return mark;
}

function end() {
  ended = true;
  at("pair").hidden = true;
  at("controls").hidden = true;
  at("status").textContent = `${at("counted").textContent}. All is saved; this page can be closed.`;
}

for (const name of ACTIONS) at(name).addEventListener("click", () => act({ do: name }));
document.addEventListener("keydown", (event) => {
  if (!at("keys").checked || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const grade = shown?.at != null && shown.grades.find(([each]) => String(each) === key);
  if (grade) judge(grade[0]);
  else if (KEYS[key] && !at(KEYS[key]).disabled) act({ do: KEYS[key] });
});

act(null);
