/** Layers merged with the history that made them; steps without a layer are dim. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { shortDigest } from "../../widgets/names.js";
import { panel } from "../../widgets/panel.js";
import { platform } from "../../widgets/platforms.js";
import { longTable } from "../../widgets/table.js";

/** @typedef {import("./shapes.js").Step} Step */

/** @param {Step[]} steps @param {import("./shapes.js").Platform} chosen */
export function layersPanel(steps, chosen) {
  const numbered = steps.map((step, i) => ({ ...step, number: i + 1 }));
  const all = chosen.layers ?? steps.filter(({ layer }) => layer !== null).length;
  return panel({
    title: t("history"),
    note: chosen.platform ?? "",
    tools: html`<span class="small t2">${t("history.here", { n: all, here: chosen.layers_here })}</span>`,
    content: longTable(`layers ${chosen.digest}`, { label: t("history"), rows: numbered, keyOf: (row) => String(row.number), classes: "hist", rowClasses: (row) => (row.layer ? "" : "dim"), columns: columns() }),
  });
}

/** @returns {Array<import("../../widgets/table.js").Column<Step & { number: number }>>} */
function columns() {
  return [
    { title: t("created.by"), cell: (row) => (row.created_by ? html`<code>${hostile(command(row.created_by), { hasLines: true })}</code>` : html`<span class="t3">${t("created.by.unknown")}</span>`) },
    { title: t("size"), isNumber: true, cell: (row) => (row.layer ? size(row.layer.size_bytes) : "–") },
    { title: t("here"), classes: "nw", cell: (row) => (row.layer ? here(row.layer) : nothing) },
    { title: t("also.in"), isNumber: true, fold: "medium", cell: (row) => also(row.layer) },
    { title: t("digest"), fold: "medium", cell: (row) => (row.layer ? shortDigest(row.layer.digest) : nothing) },
  ];
}

/** Without what builders write around it. @param {string} text */
function command(text) {
  return text.replace(/^\/bin\/sh -c #\(nop\)\s+/, "").replace(/^\/bin\/sh -c /, "RUN ").trim();
}

/** @param {NonNullable<Step["layer"]>} layer */
function here({ size_bytes: all, here_bytes: bytes }) {
  const isWhole = all !== null && bytes >= all, share = bytes === 0 ? 0 : all ? bytes / all : 0.5;
  return platform(isWhole ? t("yes") : bytes > 0 ? t("partly") : t("no"), { isWhole, share });
}

/** @param {Step["layer"]} layer */
function also(layer) {
  if (!layer || layer.used_by === null) return nothing;
  const others = Math.max(0, layer.used_by - 1);
  return others ? t("also.images", { n: others }) : html`<span class="t3">${t("also.none")}</span>`;
}
