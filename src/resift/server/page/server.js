// The server, at the address that this page came from.

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The address of a route, under whatever prefix the page is served. */
export const address = (path) => new URL(path, document.baseURI).href;

/** The answer's JSON. Raises ServerError with what the server says. */
export async function ask(path, { body, key, signal } = {}) {
  const headers = {};
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  let text;
  try {
    answer = await fetch(address(path), {
      method: body ? "POST" : "GET",
      body: body && JSON.stringify(body),
      headers,
      signal,
    });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(`The server can’t be reached, or broke off: ${error.message}`, 0);
  }
  const said = parsed(text);
  if (!answer.ok) throw new ServerError(described(answer, said, text), answer.status);
  if (said === undefined) throw new ServerError("The server’s answer isn’t JSON.", answer.status);
  return said;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const MEANINGS = {
  401: "The server asks for an API key: give one under Models",
  413: "The request is too large for the server",
  429: "The server is busy",
  503: "The server isn’t ready",
};

function described(answer, said, text) {
  const about = said && typeof said === "object" ? said : {};
  const words = [about.message, about.error, about.detail].find((each) => typeof each === "string");
  const wait = answer.headers.get("Retry-After");
  const parts = [
    MEANINGS[answer.status],
    words ?? text.slice(0, 300),
    wait && `Try again in ${wait} s`,
  ];
  const kind = about.error_type ? `, ${about.error_type}` : "";
  return `${parts.filter(Boolean).join(". ")} (HTTP ${answer.status}${kind})`;
}
