/** What a request waited for until its first byte, one below the other. */
import { html, svg } from "../../../vendor/lit-html/lit-html.js";
import { duration } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { hasText, tc } from "../../core/i18n.js";

/** @typedef {import("../../core/shapes.js").Phase} Phase */

/** Shares of the width: no bar is thinner. */
const THINNEST = 0.008;

/** @param {Phase[]} phases @param {number | null} first milliseconds to the first byte */
export function waterfall(phases, first) {
  const whole = Math.max(1, first ?? 0, ...phases.map((each) => each.start_ms + each.duration_ms));
  const longest = Math.max(...phases.map((each) => each.duration_ms));
  return html`<div class="wf">${phases.map((each) => row(each, whole, each.duration_ms === longest && longest > 0))}</div>`;
}

/** @param {Phase} phase @param {number} whole @param {boolean} isLongest */
function row({ phase, start_ms: start, duration_ms: took, host }, whole, isLongest) {
  const from = Math.max(0, start / whole), width = Math.max(THINNEST, Math.min(1 - from, took / whole));
  const key = host ? `phase.${phase}.host` : `phase.${phase}`;
  const name = hasText(key) ? tc(key, { host: hostile(host ?? "") }) : hostile(phase);
  return html`<span>${name}</span>
    <span class="lane"><svg aria-hidden="true">${svg`<rect class=${isLongest ? "fw" : "f1"} rx="2" x=${share(from)} y="2" width=${share(width)} height="10"></rect>`}</svg></span>
    <span class=${`num ${isLongest ? "warn b" : ""}`}>${duration(took)}</span>`;
}

/** @param {number} part */
function share(part) {
  return `${(part * 100).toFixed(2)}%`;
}
