/** Bars of parts. Widths are SVG attributes: the content security policy forbids styles in attributes. */
import { html, svg } from "../../vendor/lit-html/lit-html.js";

/** @param {Array<[number, string]>} parts share of the whole (0 to 1) and class of the colour @param {string} [classes] */
export function meter(parts, classes = "") {
  let from = 0;
  const rects = parts.map(([share, colour]) => {
    const width = Math.max(0, Math.min(1 - from, share || 0));
    const rect = svg`<rect class=${colour} x=${percentage(from)} width=${percentage(width)} height="100%"></rect>`;
    from += width;
    return rect;
  });
  return html`<svg class=${`bar ${classes}`} aria-hidden="true" preserveAspectRatio="none">${rects}</svg>`;
}

/**
 * A map of what is here of a whole.
 *
 * @param {Array<[number, number]>} intervals from and to
 * @param {number | null} size
 * @param {{ label: string, here: number, colour?: string }} options here: how much is there in all
 */
export function pieces(intervals, size, { label, here, colour = "f1" }) {
  const whole = size || Math.max(1, here);
  const share = Math.min(1, here / whole);
  return html`<svg class="pieces" role="progressbar" aria-valuenow=${Math.floor(share * 100)} aria-valuemin="0" aria-valuemax="100"
    aria-label=${label} preserveAspectRatio="none">${intervals.map(
      ([from, to]) => svg`<rect class=${colour} x=${percentage(from / whole)} width=${percentage((to - from) / whole)} height="100%"></rect>`,
    )}</svg>`;
}

/** @param {number} share @returns {string} */
function percentage(share) {
  return `${(share * 100).toFixed(2)}%`;
}
