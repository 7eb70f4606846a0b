/**
 * Texts in the language of the reader.
 *
 * A text is `"key": "… {name} …"`. Where `n` is among its values and the language has another form
 * for it, `key#one` is taken. Numbers are written as the language writes them.
 */
import { preferences } from "./preferences.js";

/** @typedef {string | number | import("../../vendor/lit-html/lit-html.js").TemplateResult} Value */

/** @type {Record<string, string>} */
let texts = {};
let plurals = new Intl.PluralRules("en");
/** @type {Map<string, Intl.NumberFormat>} */
let numbers = new Map();

/** Fetch the texts of the chosen language. */
export async function loadTexts() {
  const language = preferences.language;
  const answer = await fetch(new URL(`../../locales/${language}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`no texts for ${language}: ${answer.status}`);
  const found = await answer.json();
  if (language !== preferences.language) return;
  texts = found;
  plurals = new Intl.PluralRules(language);
  numbers = new Map();
  document.documentElement.lang = language;
}

/** The language that texts are in. @returns {string} */
export function language() {
  return preferences.language;
}

/** @param {string} key @returns {boolean} whether there is such a text */
export function hasText(key) {
  return Object.hasOwn(texts, key);
}

/** A number. @param {number} value @param {number} [digits] behind the point @returns {string} */
export function number(value, digits = 0) {
  const name = String(digits);
  let format = numbers.get(name);
  if (!format) {
    format = new Intl.NumberFormat(preferences.language, {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    numbers.set(name, format);
  }
  return format.format(value);
}

/** @param {string} key @param {Record<string, Value>} values @returns {string} */
function formOf(key, values) {
  const one = `${key}#one`;
  if (typeof values.n === "number" && hasText(one) && plurals.select(values.n) === "one") {
    return texts[one];
  }
  return texts[key] ?? key;
}

/** A text for an attribute or a title. @param {string} key @param {Record<string, string | number>} [values] @returns {string} */
export function t(key, values = {}) {
  return formOf(key, values).replace(/\{(\w+)\}/g, (whole, name) => shown(values[name] ?? whole));
}

/** A text whose values may be templates. @param {string} key @param {Record<string, Value>} values @returns {Array<Value>} */
export function tc(key, values) {
  return formOf(key, values)
    .split(/\{(\w+)\}/)
    .map((piece, i) => (i % 2 ? keep(values[piece] ?? `{${piece}}`) : piece));
}

/** @param {string | number} value @returns {string} */
function shown(value) {
  return typeof value === "number" ? number(value) : value;
}

/** @param {Value} value @returns {Value} */
function keep(value) {
  return typeof value === "number" ? number(value) : value;
}
