/** The first of many in a line, with a button for the others. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { t } from "../core/i18n.js";
import { showUpTo, shownOf } from "../core/more.js";
import { paint } from "../core/painting.js";

/**
 * @template T
 * @param {string} key what they are of, on this page
 * @param {T[]} items
 * @param {(item: T) => import("./basics.js").Content} show
 * @param {{ most?: number, between?: string }} [options] most: that are shown at first
 */
export function few(key, items, show, { most = 12, between = ", " } = {}) {
  const shown = items.slice(0, shownOf(key, most)), hidden = items.length - shown.length;
  const all = () => {
    showUpTo(key, items.length);
    paint();
  };
  return html`${shown.map((each, i) => html`${i ? between : nothing}${show(each)}`)}${hidden > 0 ? html` <button class="as-link small" type="button" @click=${all}>${t("few.more", { n: hidden })}</button>` : nothing}`;
}
