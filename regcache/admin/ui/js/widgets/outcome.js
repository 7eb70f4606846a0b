/** What became of a request, in a shape and a word. */
import { html } from "../../vendor/lit-html/lit-html.js";
import { hasText, t } from "../core/i18n.js";

/** Path, and whether it is filled. @type {Record<string, [string, boolean]>} */
const SHAPES = {
  hit: ["M5 5m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", true],
  revalidated: ["M5 1a4 4 0 1 1 0 8z M5 1a4 4 0 1 0 0 8", true],
  stale: ["M5 .8L9.4 9H.6z", true],
  miss: ["M5 5m-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0", false],
  collapsed: ["M2.2 3.2h3.6v5H2.2z M4.8 1.6h3.4v5H5.8", false],
  relay: ["M1 5h7M5.5 2L8.5 5l-3 3", false],
  denied: ["M1.5 5h7", false],
  error: ["M1.8 1.8h6.4v6.4H1.8z", true],
  open: ["M1 5a4 4 0 0 1 8 0", false],
};

/** @param {string | null} outcome null while it goes on */
export function outcomeChip(outcome) {
  const kind = outcome ?? "open";
  const [path, isFilled] = SHAPES[kind] ?? ["M1.5 5h7", false];
  return html`<span class=${`chip k-${kind}`}><svg viewBox="0 0 10 10" aria-hidden="true"><path d=${path} fill=${isFilled ? "currentColor" : "none"} stroke="currentColor" stroke-width=${isFilled ? 0.6 : 1.5}></path></svg>${hasText(`outcome.${kind}`) ? t(`outcome.${kind}`) : kind}</span>`;
}
