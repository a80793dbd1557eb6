// A request as curl and as Python. The key is a variable of the environment, never its value.

const KEY = "RESIFT_API_KEY";
// Signs that show nothing, or turn the direction of what follows: code would read as another.
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const escaped = (text) =>
  text.replace(UNSEEN, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** For a POSIX shell. The body is on standard input: an argument could become too long. */
export function asCurl(url, body, withKey) {
  // JSON's lines begin with a brace or a space, so none of them ends the body early.
  const lines = [
    `curl --silent --show-error --fail-with-body ${quoted(url)} \\`,
    `  --header 'Content-Type: application/json' \\`,
    ...(withKey ? [`  --header "Authorization: Bearer $${KEY}" \\`] : []),
    `  --data-binary @- <<'JSON'`,
    escaped(JSON.stringify(body, null, 2)),
    "JSON",
  ];
  return `${lines.join("\n")}\n`;
}

/** For Python, with nothing but its standard library. */
export function asPython(url, body, withKey) {
  const lines = [
    "import json",
    ...(withKey ? ["import os"] : []),
    "from urllib.request import Request, urlopen",
    "",
    `body = ${literal(body, "")}`,
    'headers = {"Content-Type": "application/json"}',
    ...(withKey ? [`headers["Authorization"] = "Bearer " + os.environ["${KEY}"]`] : []),
    `request = Request(${literal(url, "")}, json.dumps(body).encode(), headers)`,
    "with urlopen(request) as response:",
    "    print(json.dumps(json.load(response), indent=2))",
  ];
  return `${lines.join("\n")}\n`;
}

/** A value of JSON as Python writes it. JSON's strings are Python's, too. */
function literal(value, indent) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return escaped(JSON.stringify(value));
  const within = `${indent}    `;
  const list = Array.isArray(value);
  const items = list
    ? value.map((each) => literal(each, within))
    : Object.entries(value).map(([name, each]) => `${literal(name, "")}: ${literal(each, within)}`);
  const [open, close] = list ? "[]" : "{}";
  if (!items.length) return open + close;
  return `${open}\n${items.map((each) => `${within}${each},\n`).join("")}${indent}${close}`;
}
