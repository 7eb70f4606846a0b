/** How much is shown of what is long: the beginning, until somebody asks for more; another page begins anew. */

/** @type {Map<string, number>} items that are shown, by what they are of */
const asked = new Map();

/** How many are shown. @param {string} key what they are of, on this page @param {number} first so many are shown unasked */
export function shownOf(key, first) {
  return asked.get(key) ?? first;
}

/** Show so many. @param {string} key @param {number} count */
export function showUpTo(key, count) {
  asked.set(key, count);
}

/** Show the beginnings again. */
export function showBeginnings() {
  asked.clear();
}
