/** Platforms: all of one is here, part of it, or none; each with a shape and a word. */
import { html, nothing, svg } from "../../vendor/lit-html/lit-html.js";
import { percent } from "../core/format.js";
import { hostile } from "../core/hostile.js";
import { t } from "../core/i18n.js";

/** The circumference of the pie. */
const ROUND = 11;

/** @param {number} share */
function shape(share) {
  if (share >= 1) return svg`<svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="5.4" fill="currentColor"></circle><path class="tick" d="M3.5 6.2l1.8 1.8 3.3-3.9"></path></svg>`;
  if (share > 0) return svg`<svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="4.9" fill="none" stroke="currentColor" stroke-width="1.1"></circle><circle cx="6" cy="6" r="1.75" fill="none" stroke="currentColor" stroke-width="3.5" stroke-dasharray=${`${(share * ROUND).toFixed(2)} ${ROUND}`} transform="rotate(-90 6 6)"></circle></svg>`;
  return svg`<svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="4.9" fill="none" stroke="currentColor" stroke-width="1.1" stroke-dasharray="2 1.85"></circle></svg>`;
}

/**
 * @param {string} platform as in linux/amd64
 * @param {{ share: number, isWhole: boolean, isLong?: boolean }} options share: what is here of it (0 to 1); isWhole: all of it is
 */
export function platform(platform, { share, isWhole, isLong = false }) {
  const kind = isWhole ? "full" : share > 0 ? "part" : "none";
  const shown = isWhole ? 1 : share > 0 ? Math.max(0.01, Math.min(0.99, share)) : 0;
  const name = isLong ? platform : platform.replace(/^linux\//, "");
  return html`<span class=${`pf ${kind}`} title=${t(`platform.${kind}.title`, { platform })}>${shape(shown)}${hostile(name)}${kind === "part" ? html` <span class="t3">${percent(shown)}</span>` : nothing} <span class="sr">${t(`platform.${kind}`)}</span></span>`;
}
