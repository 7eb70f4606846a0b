/** The upstreams in a line each. */
import { html } from "../../../vendor/lit-html/lit-html.js";
import { duration, percent, size } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { hostName } from "../../widgets/names.js";
import { panel, whenThere } from "../../widgets/panel.js";
import { sparkline } from "../../widgets/sparkline.js";
import { table } from "../../widgets/table.js";
import { rateLimit, upstreamState } from "../../widgets/upstream_state.js";

/** @typedef {import("../../core/shapes.js").Upstream} Upstream */

/** @param {import("../../core/resource.js").Resource<Upstream[]>} upstreams */
export function upstreamsPanel(upstreams) {
  return panel({
    title: t("nav.upstreams"),
    note: t("range.long.7d"),
    content: whenThere(upstreams, (rows) => table({ label: t("nav.upstreams"), rows, keyOf: (row) => row.name, columns: columns() }), 5),
  });
}

/** @returns {Array<import("../../widgets/table.js").Column<Upstream>>} */
function columns() {
  return [
    { title: t("name"), classes: "name", cell: (row) => html`<a href="#/upstreams">${hostName(row.name)}</a>` },
    { title: t("state"), cell: upstreamState },
    { title: t("answers.in"), isNumber: true, cell: (row) => duration(row.answer_p50_ms) },
    { title: t("trend"), isSpoken: true, fold: "narrow", cell: (row) => sparkline(row.answer_series_ms, row.state === "slow" ? "w" : "") },
    { title: t("limit"), fold: "medium", cell: rateLimit },
    { title: t("from.cache"), isNumber: true, cell: (row) => percent(row.hit_ratio_7d, 1) },
    { title: t("served"), isNumber: true, fold: "narrow", cell: (row) => size(row.served_bytes_7d) },
    { title: t("fetched"), isNumber: true, fold: "narrow", cell: (row) => size(row.fetched_bytes_7d) },
  ];
}
