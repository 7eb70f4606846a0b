/** Transfers: what comes in, how fast, for whom? */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { get } from "../core/api.js";
import { count } from "../core/format.js";
import { t } from "../core/i18n.js";
import { Resource } from "../core/resource.js";
import { every } from "../core/timer.js";
import { changedTransfers, transferKey } from "../core/transfer_list.js";
import { bigSize } from "../widgets/basics.js";
import { empty, pageHead, whenThere } from "../widgets/panel.js";
import { transferRow } from "../widgets/transfer.js";

/** @typedef {import("../core/shapes.js").Transfer} Transfer */
/** @typedef {{ in_bytes_per_s: number | null, out_bytes_per_s: number | null, items: Transfer[] }} Traffic */

/** Milliseconds between two looks at what the stream does not tell: the rates of all together. */
const LOOK_MS = 2000;

/** @returns {import("./pages.js").Page} */
export function transfersPage() {
  /** @type {Resource<Traffic>} */
  const traffic = new Resource(() => get("transfers"));
  traffic.refresh();
  const end = every(LOOK_MS, () => traffic.refresh());
  return {
    title: () => t("nav.transfers"),
    view: () => view(traffic),
    on: { transfer: (changes) => take(traffic, changes) },
    refresh: () => traffic.refresh(),
    close: () => {
      end();
      traffic.close();
    },
  };
}

/** @param {Resource<Traffic>} traffic @param {any[]} changes */
function take(traffic, changes) {
  if (traffic.value) traffic.take({ ...traffic.value, items: changedTransfers(traffic.value.items, changes) });
}

/** @param {Resource<Traffic>} traffic */
function view(traffic) {
  return html`${pageHead(t("nav.transfers"), nothing, nothing, t("transfers.about"))}
    <section class="panel">${whenThere(traffic, downloads, 6)}</section>`;
}

/** @param {Traffic} traffic */
function downloads(traffic) {
  const { items } = traffic;
  if (!items.length) return empty("transfers", t("transfers.none"), t("transfers.none.why"));
  return html`${figures(traffic)}${repeat(items, transferKey, transferRow)}`;
}

/** @param {Traffic} traffic */
function figures({ in_bytes_per_s: coming, out_bytes_per_s: going, items }) {
  const parked = items.filter((each) => each.state === "parked").length;
  const readers = items.reduce((sum, each) => sum + each.readers.length, 0);
  return html`<dl class="figs mt">${speed(t("transfers.in"), coming)}${speed(t("transfers.out"), going)}
    <div class="fig"><dt>${t("transfers.downloads")}</dt><dd>${count(items.length - parked)}${parked ? html`<small>${t("transfers.parked", { n: parked })}</small>` : nothing}</dd></div>
    <div class="fig"><dt>${t("transfers.readers")}</dt><dd>${count(readers)}</dd></div></dl>`;
}

/** @param {string} title @param {number | null} bytes a second */
function speed(title, bytes) {
  return html`<div class="fig"><dt>${title}</dt><dd>${bigSize(bytes)}${bytes == null ? nothing : html`<span class="u">/s</span>`}</dd></div>`;
}
