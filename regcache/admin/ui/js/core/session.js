/** Who is signed in, and how the daemon is: what all pages share. */
import { forgetAnswers, get, post, remove } from "./api.js";
import { plain } from "./hostile.js";
import { paint, paintRarely } from "./painting.js";

/**
 * @typedef {object} Session
 * @property {"none" | "read" | "admin"} role
 * @property {string | null} account
 * @property {string | null} via
 * @property {string | null} expires
 * @property {string[]} can
 */

export const shared = {
  /** @type {Session | null} null until it is known */
  session: null,
  /** @type {import("./shapes.js").Status | null} */
  status: null,
  /** @type {Map<string, any>} jobs that were told of, by id */
  jobs: new Map(),
  /** @type {import("./api.js").Problem | null} why the daemon could not be asked at all */
  away: null,
};

/** Ask who we are. */
export async function loadSession() {
  shared.session = await askSession();
  paint();
}

/** Who the daemon takes us for. @returns {Promise<Session>} */
export function askSession() {
  return get("session");
}

/** Ask how the daemon is. */
export async function loadStatus() {
  shared.status = await get("status");
  shared.away = null;
  paintRarely();
}

/** @param {import("./shapes.js").Status} status */
export function takeStatus(status) {
  shared.status = status;
  shared.away = null;
  paintRarely();
}

/** @param {any} job */
export function takeJob(job) {
  shared.jobs.set(job.id, job);
  paintRarely();
}

/** Whether the caller may do something. @param {string} ability */
export function can(ability) {
  return shared.session?.can.includes(ability) ?? false;
}

/** Whether there is anybody to show something to. */
export function isSignedIn() {
  return shared.session !== null && shared.session.role !== "none";
}

/** @param {{ account: string, password: string } | { link: string }} proof */
export async function signIn(proof) {
  shared.session = await post("session", proof);
  forgetAnswers();
}

/** End the session. Until it is known what is left without it, nobody is signed in. */
export async function signOut() {
  const before = shared.session;
  shared.session = null;
  try {
    await remove("session");
  } catch (error) {
    shared.session = before;
    throw error;
  }
  forgetAnswers();
  shared.status = null;
  await loadSession();
}

/** The title of all pages. @returns {string} */
export function siteTitle() {
  const told = document.querySelector('meta[name="application-name"]')?.getAttribute("content");
  return plain(shared.status?.title ?? told ?? "regcache");
}
