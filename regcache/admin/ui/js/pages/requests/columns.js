/** The columns of the list of requests. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { clock, duration, exactTime, size, timeOfDay } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { link } from "../../core/router.js";
import { sentence } from "../../core/sentences.js";
import { partName, repositoryName } from "../../widgets/names.js";
import { outcomeChip } from "../../widgets/outcome.js";

/** @typedef {import("../../core/shapes.js").RequestItem} RequestItem */

/**
 * @param {string} openId of the request that is opened
 * @param {Record<string, string>} query the filters, which stay
 * @returns {Array<import("../../widgets/table.js").Column<RequestItem>>}
 */
export function columns(openId, query) {
  return [
    { title: t("time"), fold: "narrow", classes: "t2 nw", cell: when, folded: when },
    { title: t("requests.what"), classes: "name", isMain: true, cell: (row) => whatCell(row, openId, query) },
    { title: t("requests.client"), fold: "narrow", classes: "nw", cell: client, folded: (row) => hostile(row.principal ?? row.address ?? "") },
    { title: t("requests.outcome"), cell: (row) => html`${outcomeChip(row.outcome)}<span class="sub">${row.status ?? ""}</span>` },
    { title: t("requests.why"), fold: "medium", classes: "small t2 why", cell: why, folded: why },
    { title: t("size"), isNumber: true, fold: "narrow", cell: (row) => size(row.sent_bytes || null) },
    { title: t("requests.first"), isNumber: true, fold: "medium", cell: (row) => duration(row.first_byte_ms) },
    { title: t("requests.took"), isNumber: true, cell: (row) => html`<span class=${row.slow ? "warn b" : ""}>${duration(row.duration_ms)}</span>` },
  ];
}

/** @param {RequestItem} row @param {string} openId @param {Record<string, string>} query */
function whatCell(row, openId, query) {
  const isOpen = row.id === openId;
  return html`<a href=${link("requests", isOpen ? "" : row.id, query)} aria-expanded=${isOpen}>${what(row)}</a>`;
}

/** What was asked for. @param {RequestItem} row */
export function what(row) {
  const name = row.repository ? repositoryName(`${row.upstream ?? "–"}/${row.repository}`) : t(`kind.${row.kind}`);
  const isDigest = row.part || row.reference?.includes(":");
  const reference = isDigest ? partName(row.part, row.reference) : row.reference;
  return html`${name}${reference ? html` <span class="t3">${hostile(reference)}</span>` : nothing}`;
}

/** @param {RequestItem} row */
function when(row) {
  return html`<time datetime=${row.time} title=${exactTime(row.time)}>${isToday(row.time) ? timeOfDay(row.time) : clock(row.time)}</time>`;
}

/** @param {string} time */
function isToday(time) {
  return new Date(time).toDateString() === new Date().toDateString();
}

/** @param {RequestItem} row */
function client({ principal, address }) {
  const isNamed = principal !== null && principal !== address;
  return html`${hostile(principal ?? address ?? "–")}${isNamed && address ? html`<span class="sub">${hostile(address)}</span>` : nothing}`;
}

/** @param {RequestItem} row */
function why({ verdict }) {
  return verdict ? sentence(verdict) : nothing;
}
