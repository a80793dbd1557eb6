// Texts of documents, with what the model didn't read marked. Nothing here makes HTML of a text.

const SHORT = 600;
const AROUND = 150;

/** An element with text and children, its attributes, and its `on…` handlers. */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** The place in UTF-16 of a place in code points. */
export function unitsOf(text, points) {
  let units = 0;
  for (let left = points; left > 0 && units < text.length; left -= 1) {
    units += text.codePointAt(units) > 0xffff ? 2 : 1;
  }
  return units;
}

/** A document, long ones in parts with a button that shows the whole; `cut` is in code points. */
export function shownText(text, cut) {
  const at = cut === null || cut === undefined ? text.length : unitsOf(text, cut);
  const box = make("div", { class: "text", dir: "auto" });
  if (text.length <= SHORT) {
    box.append(...marked(text, at, 0, text.length));
    return [box];
  }
  const spans = at < text.length && at > SHORT
    ? [[0, AROUND], [at - AROUND, Math.min(at + AROUND, text.length)]]
    : [[0, SHORT]];
  for (const [from, to] of spans) {
    if (from) box.append(" … ");
    box.append(...marked(text, at, whole(text, from), whole(text, to)));
  }
  if (spans.at(-1)[1] < text.length) box.append(" …");
  const button = make("button", { type: "button" }, `Show all ${text.length.toLocaleString("en")} characters`);
  button.addEventListener("click", () => {
    box.replaceChildren(...marked(text, at, 0, text.length));
    box.tabIndex = -1;
    box.focus();
    button.remove();
  });
  return [box, button];
}

/** A place that isn't between the halves of a character. */
function whole(text, at) {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at;
}

function marked(text, at, from, to) {
  const read = text.slice(from, Math.max(from, Math.min(at, to)));
  const unread = text.slice(Math.min(to, Math.max(from, at)), to);
  return unread ? [read, make("mark", {}, unread)] : [read];
}

/** What the model didn't see of a document, in words. */
export function unread(result) {
  const tokens = result.truncated_tokens;
  if (!tokens) return [];
  const count = tokens === 1 ? "1 token" : `${tokens.toLocaleString("en")} tokens`;
  const where = "cut_at" in result ? "" : " at the end; where it begins isn’t known";
  return [make("p", { class: "unread" }, `not read by the model: ${count}${where}`)];
}
