/**
 * Text of strangers: names, labels, history, user agents, messages of upstreams.
 *
 * It becomes text nodes in `<bdi>` alone. What has no shape, or changes the direction of what
 * follows, is shown by its number; what is long is cut.
 */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { t } from "./i18n.js";
import { paint } from "./painting.js";

/** UTF-16 units that are shown at first. */
export const CUT = 2048;
const SHAPELESS =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;
/** @type {Set<string>} what is shown whole */
const whole = new Set();

/** @param {string} character @returns {string} its number, as in `\u202e` */
function escaped(character) {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** For attributes and titles: the same characters, cut. @param {unknown} value @returns {string} */
export function plain(value) {
  const text = String(value ?? "");
  const cut = text.length > CUT ? `${text.slice(0, CUT)}…` : text;
  return cut.replace(SHAPELESS, escaped);
}

/**
 * For the page.
 *
 * @param {unknown} value
 * @param {{ hasLines?: boolean, isWhole?: boolean }} [options] hasLines: line breaks and tabs are meant; isWhole: nothing is cut, for what the daemon itself wrote
 */
export function hostile(value, { hasLines = false, isWhole = false } = {}) {
  const text = String(value ?? "");
  const isCut = !isWhole && text.length > CUT && !whole.has(text);
  const shown = isCut ? text.slice(0, CUT) : text;
  return html`<bdi>${pieces(shown, hasLines)}</bdi>${isCut ? showAll(text) : nothing}`;
}

/** Forget what was shown whole: another page is open. */
export function cutAgain() {
  whole.clear();
}

/** @param {string} text @param {boolean} hasLines */
function pieces(text, hasLines) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(SHAPELESS)) {
    if (hasLines && (match[0] === "\n" || match[0] === "\t")) continue;
    found.push(text.slice(from, match.index), html`<span class="esc">${escaped(match[0])}</span>`);
    from = match.index + match[0].length;
  }
  found.push(text.slice(from));
  return found;
}

/** @param {string} text */
function showAll(text) {
  const show = () => {
    whole.add(text);
    paint();
  };
  return html`… <button class="btn q" type="button" @click=${show}>${t("hostile.all", { n: text.length })}</button>`;
}
