/** Asks the daemon: JSON in, JSON out, errors as problems (RFC 9457), every wait bounded. */

const BASE = new URL("api/v1/", document.baseURI);
const TIMEOUT_MS = 15_000;
/** Answers that are kept to be asked for conditionally. */
const MOST_KEPT = 64;
/** No account at all; or one that may not do it, as where without a session one may read. */
const REFUSED = [401, 403];

/** @type {Map<string, { etag: string, value: any }>} */
const kept = new Map();
/** @type {() => void} */
let refused = () => {};

/** What the daemon refused with, or why it could not be asked. */
export class Problem extends Error {
  /**
   * @param {number} status 0 if there was no answer
   * @param {{ code: string, detail?: string, params?: any, request_id?: string | null }} told
   */
  constructor(status, told) {
    super(told.detail ?? told.code);
    this.status = status;
    this.code = told.code;
    /** @type {any} */
    this.params = told.params ?? {};
    this.requestId = told.request_id ?? null;
  }

  /** Whether the daemon cannot be reached at all. */
  get isAway() {
    return this.status === 0;
  }
}

/** Say what is done when the daemon refuses who asks: the session may be over. @param {() => void} listener */
export function onRefused(listener) {
  refused = listener;
}

/** @param {string} path @param {Record<string, unknown>} [query] @returns {URL} of a call */
export function callUrl(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value != null && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/** @param {string} path @param {Record<string, unknown>} [query] @returns {Promise<any>} */
export async function get(path, query) {
  return (await getVersion(path, query)).value;
}

/** An answer with its version, which a change may name. @param {string} path @param {Record<string, unknown>} [query] @returns {Promise<{ value: any, version: string | null }>} */
export async function getVersion(path, query) {
  const url = callUrl(path, query).href, known = kept.get(url);
  /** @type {Record<string, string>} */
  const headers = known ? { "If-None-Match": known.etag } : {};
  const answer = await ask(url, { headers });
  if (answer.status === 304 && known) return { value: known.value, version: known.etag };
  const value = await readAnswer(answer), version = answer.headers.get("ETag");
  keep(url, version, value);
  return { value, version };
}

/** @param {string} path @param {unknown} [body] @param {string | null} [version] of what is changed: with another one it is refused @returns {Promise<any>} */
export function post(path, body = {}, version = null) {
  return change("POST", path, body, version);
}

/** @param {string} path @returns {Promise<any>} */
export function remove(path) {
  return change("DELETE", path, {});
}

/** @param {string} method @param {string} path @param {unknown} body @param {string | null} [version] */
async function change(method, path, body, version = null) {
  /** @type {Record<string, string>} */
  const headers = { "X-Regcache": "1", "Content-Type": "application/json" };
  if (version) headers["If-Match"] = version;
  const answer = await ask(callUrl(path).href, { method, headers, body: JSON.stringify(body) });
  return readAnswer(answer);
}

/** @param {string} url @param {RequestInit} options */
async function ask(url, options) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(url, { ...options, signal, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    const code = signal.aborted ? "TIMEOUT" : "UNREACHABLE";
    throw new Problem(0, { code, detail: String(error) });
  }
}

/** @param {Response} answer */
async function readAnswer(answer) {
  const text = await answer.text();
  const value = parsed(text);
  if (answer.ok) return value;
  const told = value && typeof value.code === "string" ? value : { code: `HTTP_${answer.status}` };
  if (REFUSED.includes(answer.status) && !answer.url.endsWith("/session")) refused();
  throw new Problem(answer.status, told);
}

/** @param {string} text @returns {any} null for what is no JSON */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null; // a page of some proxy in between
  }
}

/** @param {string} url @param {string | null} etag @param {any} value */
function keep(url, etag, value) {
  kept.delete(url);
  if (!etag) return;
  kept.set(url, { etag, value });
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KEPT) break;
    kept.delete(oldest);
  }
}

/** Forget all answers: somebody else is signed in. */
export function forgetAnswers() {
  kept.clear();
}
