/** The smallest pieces: icons, big numbers, buttons, times. */
import { html, nothing, svg } from "../../vendor/lit-html/lit-html.js";
import { ago, exactTime, sizeParts, UNKNOWN } from "../core/format.js";
import { t } from "../core/i18n.js";
import { can } from "../core/session.js";

/** @typedef {import("../../vendor/lit-html/lit-html.js").TemplateResult} Template */
/** @typedef {Template | string | number | typeof nothing | Array<any> | null | undefined} Content */

/** A symbol of index.html; a word stands beside it always. @param {string} name @param {string} [classes] */
export function icon(name, classes = "") {
  return svg`<svg class=${`ic ${classes}`} aria-hidden="true"><use href=${`#i-${name}`}></use></svg>`;
}

/** Text for those who hear the page. @param {string} text */
export function spoken(text) {
  return html`<span class="sr">${text}</span>`;
}

/** A size as a big number with a small unit. @param {number | null | undefined} count bytes */
export function bigSize(count) {
  if (count == null) return UNKNOWN;
  const [value, unit] = sizeParts(count);
  return html`${value}<span class="u">${unit}</span>`;
}

/** How long ago, with the exact time in the title. @param {string | null | undefined} time */
export function since(time) {
  return time ? html`<time datetime=${time} title=${exactTime(time)}>${ago(time)}</time>` : html`<span class="t3">${UNKNOWN}</span>`;
}

/**
 * @typedef {object} ButtonOptions
 * @property {string} label
 * @property {string} [icon]
 * @property {(event: MouseEvent) => void} run
 * @property {string} [classes] p, danger, dangerp, q
 * @property {boolean} [isIcon] the label is spoken only
 * @property {boolean | undefined} [isPressed]
 * @property {boolean} [isDisabled]
 * @property {string} [title]
 */

/** @param {ButtonOptions} options */
export function button({ label, icon: symbol, run, classes = "", isIcon = false, isPressed, isDisabled = false, title }) {
  return html`<button class=${`btn ${classes}`} type="button" title=${title ?? (isIcon ? label : nothing)}
    aria-pressed=${isPressed ?? nothing} ?disabled=${isDisabled} @click=${run}>${symbol ? icon(symbol) : nothing}${isIcon ? spoken(label) : label}</button>`;
}

/**
 * A button for what not everybody may do: to the others it says how to get the rights.
 *
 * @param {string} ability a word of the session's `can`
 * @param {ButtonOptions} options
 */
export function actionButton(ability, options) {
  return can(ability) ? button(options) : lockedButton(options.label);
}

/** A button that says how to get the rights for it. @param {string} label */
export function lockedButton(label) {
  return html`<button class="btn" type="button" aria-disabled="true" title=${t("reader.hint")}>${icon("lock")}${label}</button>`;
}

/** Tell those who hear the page; a dialog has a place of its own for it, since nothing below it is heard. @param {string} text */
export function announce(text) {
  const place = [...document.querySelectorAll("#announced, dialog > .announced")].pop();
  if (place) place.textContent = text;
}

/** One choice of a few. @template {string} T @param {string} label @param {Array<[T, string]>} choices @param {T} chosen @param {(value: T) => void} choose */
export function segments(label, choices, chosen, choose) {
  return html`<div class="seg" role="group" aria-label=${label}>${choices.map(
    ([value, text]) => html`<button type="button" aria-pressed=${value === chosen} @click=${() => choose(value)}>${text}</button>`,
  )}</div>`;
}
