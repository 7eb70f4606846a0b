/** Words for what the API says in codes and parameters. Texts are `code.<code>` of the locales. */
import { clock, duration, percent, rate, size, UNKNOWN } from "./format.js";
import { hostile } from "./hostile.js";
import { hasText, number, tc } from "./i18n.js";

/** @typedef {import("./i18n.js").Value} Value */

/** How a parameter is written, by the end of its name. @type {Array<[RegExp, (value: any) => Value]>} */
const WRITINGS = [
  [/bytes_per_s$/, rate],
  [/bytes$/, size],
  [/_ms$/, duration],
  [/^(until|time|since|resets|expires|next_try|started|begun|ends|last)$|_at$/, clock],
  [/ratio$/, percent],
  [/^seconds$/, (value) => number(value, value < 10 ? 1 : 0)],
];

/** @param {string} name @param {any} value @returns {Value} */
function written(name, value) {
  if (value == null) return UNKNOWN;
  const writing = WRITINGS.find(([pattern]) => pattern.test(name));
  if (writing) return writing[1](value);
  return typeof value === "number" ? value : hostile(Array.isArray(value) ? value.join(", ") : value);
}

/**
 * A sentence; what a newer daemon says is shown as it says it.
 *
 * @param {{ code: string, params: Record<string, any> }} told
 * @param {string} [family] of texts
 */
export function sentence({ code, params }, family = "code") {
  const whole = `${family}.${code}`, alone = `${whole}.alone`; // where one of its values is not known
  const key = Object.values(params).includes(null) && hasText(alone) ? alone : whole;
  if (!hasText(key)) return [hostile(`${code} ${JSON.stringify(params)}`)];
  const values = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, written(name, value)]));
  const numbers = Object.values(params).filter((each) => typeof each === "number");
  if (numbers.length === 1) values.n ??= numbers[0]; // what the form of the sentence depends on
  return tc(key, new Proxy(values, { get: (all, name) => all[String(name)] ?? UNKNOWN }));
}
