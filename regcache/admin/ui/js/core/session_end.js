/**
 * Whether the session under which a page was opened has ended.
 *
 * before                 now                               what it means
 * --------------------   -------------------------------   ---------------------------------
 * anybody                nobody                            it has ended
 * an account, a link     the same                          it goes on, with the rights of now
 * an account, a link     another way, another account      it has ended
 * who only comes here    anybody                           it goes on, with the rights of now
 */

/** @typedef {import("./session.js").Session} Session */

const OPENED = ["account", "link"];

/** @param {Session} before @param {Session} now */
export function hasEnded(before, now) {
  if (now.role === "none") return true;
  return OPENED.includes(before.via ?? "") && (now.via !== before.via || now.account !== before.account);
}

/** Whether who has signed in may go on with the page of somebody: nothing on it is another's. @param {Session} before @param {Session} now */
export function mayGoOn(before, now) {
  return now.role === before.role && (before.account === null || before.account === now.account);
}
