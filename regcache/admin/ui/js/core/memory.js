/** Remembers the last result of a function, so that what did not change is not drawn anew. */
import { language } from "./i18n.js";

/**
 * @template {unknown[]} A
 * @template R
 * @param {(...values: A) => R} make
 * @returns {(...values: A) => R} the same object as long as values and language are the same
 */
export function remembered(make) {
  /** @type {unknown[] | null} */
  let last = null;
  /** @type {R} */
  let result;
  return (...values) => {
    const now = [...values, language()];
    if (!last || now.some((each, i) => each !== last?.[i])) {
      last = now;
      result = make(...values);
    }
    return result;
  };
}
