/** Where we are: the part of the address behind `#`. Filters live in it, so a view can be sent on. */

/**
 * @typedef {object} Place
 * @property {string} page the first word, "" for the overview
 * @property {string} rest what is behind it, decoded
 * @property {URLSearchParams} query
 */

/** @param {string} [hash] @returns {Place} */
export function place(hash = location.hash) {
  const [path, search = ""] = split(hash.replace(/^#\/?/, ""), "?");
  const [page, rest = ""] = split(path, "/");
  return { page: decoded(page), rest: decoded(rest), query: new URLSearchParams(search) };
}

/** @param {string} text @param {string} at @returns {string[]} */
function split(text, at) {
  const found = text.indexOf(at);
  return found < 0 ? [text] : [text.slice(0, found), text.slice(found + 1)];
}

/** @param {string} text @returns {string} as it is, if it cannot be decoded */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a page. @param {string} page @param {string} [rest] @param {Record<string, unknown>} [query] @returns {string} */
export function link(page, rest = "", query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value != null && value !== "" && value !== false) search.set(name, value === true ? "1" : String(value));
  }
  const path = [page, rest].filter(Boolean).map((each) => encodeURIComponent(each).replace(/%2F/g, "/").replace(/%3A/g, ":").replace(/%40/g, "@")).join("/");
  return `#/${path}${search.size ? `?${search}` : ""}`;
}

/** Go to another page. @param {string} hash */
export function go(hash) {
  location.hash = hash;
}

/** Change filters; the page stays, and so does the way back. @param {Record<string, unknown>} changes "" and null take one away */
export function setQuery(changes) {
  const { page, rest, query } = place();
  const next = { ...Object.fromEntries(query), ...changes };
  history.replaceState(history.state, "", link(page, rest, next));
  window.dispatchEvent(new Event("querychange"));
}

/** Take a secret out of the address and the history. */
export function eraseHash() {
  history.replaceState(null, "", "#/");
}
