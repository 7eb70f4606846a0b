/** The platforms of an image: what of each is here. A radio chooses the one whose layers are shown. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { size } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { since } from "../../widgets/basics.js";
import { meter } from "../../widgets/meter.js";
import { panel } from "../../widgets/panel.js";
import { longTable } from "../../widgets/table.js";
import { onePlatform } from "./columns.js";

/** @typedef {import("./shapes.js").Platform} Platform */

/** @param {Platform} each */
export function isPartly(each) {
  return !each.complete && (each.manifest_here || each.here_bytes > 0);
}

/** @param {import("./shapes.js").Image} image @param {string | null} chosen @param {(platform: Platform) => void} choose */
export function platformsPanel(image, chosen, choose) {
  const there = image.platforms.filter((each) => each.manifest_here), absent = image.platforms.filter((each) => !each.manifest_here);
  const rows = longTable("platforms", {
    label: t("platforms"),
    rows: [...there, ...absent],
    keyOf: (row) => row.digest,
    rowClasses: (row) => (row.digest === chosen ? "sel" : ""),
    columns: [
      { title: t("platform"), classes: "nw", cell: (row) => radio(row, chosen, choose) },
      { title: t("here"), cell: here },
      { title: t("layers"), isNumber: true, fold: "narrow", cell: (row) => (row.layers === null ? "–" : `${row.layers_here}/${row.layers}`) },
      { title: t("last.used"), isNumber: true, fold: "narrow", cell: (row) => since(row.last_used) },
    ],
  });
  return panel({ title: t("platforms"), note: t("platforms.choose"), classes: "c7", content: html`${rows}${attached(image)}` });
}

/** @param {Platform} row @param {string | null} chosen @param {(platform: Platform) => void} choose */
function radio(row, chosen, choose) {
  const isThere = row.manifest_here;
  return html`<label><input type="radio" name="platform" .checked=${row.digest === chosen} ?disabled=${!isThere} @change=${() => choose(row)}> ${onePlatform(row, true)}</label>`;
}

/** @param {Platform} row */
function here(row) {
  if (!row.manifest_here && row.here_bytes === 0) return html`<span class="t3 small">${row.all_bytes ? t("here.not.size", { size: size(row.all_bytes) }) : t("here.not")}</span>`;
  const share = row.complete ? 1 : row.all_bytes ? row.here_bytes / row.all_bytes : 0;
  return html`<div class="nw small">${row.all_bytes == null ? size(row.here_bytes) : t("part.of", { here: size(row.here_bytes), all: size(row.all_bytes) })}</div>${meter([[share, row.complete ? "f1" : "f2"]], "thin")}`;
}

/** Attestations, signatures and the like are counted apart. @param {import("./shapes.js").Image} image */
function attached({ attached: all }) {
  if (!all.length) return nothing;
  const shown = all.map((each) => t(`attached.${each.kind}`, { n: each.count })).join(", ");
  return html`<footer>${t("attached", { list: shown, here: all.reduce((sum, each) => sum + each.here, 0) })}</footer>`;
}
