/** Who used how much: rows of GET usage, added up by account or by day. */
import { html } from "../../../vendor/lit-html/lit-html.js";
import { callUrl } from "../../core/api.js";
import { calendarDay, count, dayText, monthName, size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { link, setQuery } from "../../core/router.js";
import { icon } from "../../widgets/basics.js";
import { meter } from "../../widgets/meter.js";
import { empty } from "../../widgets/panel.js";
import { table } from "../../widgets/table.js";

/** @typedef {import("./shapes.js").UsageRow} UsageRow */
/** @typedef {UsageRow & { key: string, share: number }} Sum share: of the largest */

/** Months that can be chosen: usage is kept for 400 days. */
const MONTHS = 13;
/** Days of one account that are shown. */
const DAYS = 31;

/** What is asked for a month. @param {string} month such as 2026-11; "" for this one @returns {Record<string, string>} */
export function monthQuery(month) {
  if (!month) return { group: "month" };
  const [year, number] = month.split("-").map(Number);
  return { group: "month", from: `${month}-01`, to: dayText(new Date(year, number, 0)) };
}

/** A month as the address may have it; "" for another text. @param {string | null} text @returns {string} */
export function meantMonth(text) {
  return text && /^\d{4}-(0[1-9]|1[0-2])$/.test(text) ? text : "";
}

/** What is asked for the days of one account. @param {string} account @returns {Record<string, string>} */
export function daysQuery(account) {
  const now = new Date();
  return { account, from: dayText(new Date(now.getFullYear(), now.getMonth(), now.getDate() - DAYS + 1)) };
}

/** Added up over upstreams. @param {UsageRow[]} rows @param {(row: UsageRow) => string} keyOf @returns {Sum[]} */
function sums(rows, keyOf) {
  /** @type {Map<string, Sum>} */
  const found = new Map();
  for (const row of rows) {
    const key = keyOf(row), sum = found.get(key);
    if (sum) add(sum, row);
    else found.set(key, { ...row, key, share: 0 });
  }
  const all = [...found.values()], most = Math.max(1, ...all.map((each) => each.served_bytes));
  for (const each of all) each.share = each.served_bytes / most;
  return all;
}

/** @param {Sum} sum @param {UsageRow} row */
function add(sum, row) {
  sum.requests += row.requests;
  sum.pulls += row.pulls;
  sum.served_bytes += row.served_bytes;
  sum.fetched_bytes += row.fetched_bytes;
  sum.refused += row.refused;
}

/** Which month, and its rows as a file. @param {string} month */
export function monthTools(month) {
  const now = new Date();
  const months = Array.from({ length: MONTHS }, (_, i) => new Date(now.getFullYear(), now.getMonth() - i, 1));
  const choose = (/** @type {Event} */ event) => setQuery({ month: /** @type {HTMLSelectElement} */ (event.target).value });
  return html`<label><span class="sr">${t("accounts.month")}</span><select name="month" @change=${choose}>${months.map((each, i) => {
    const value = i ? dayText(each).slice(0, 7) : "";
    return html`<option value=${value} ?selected=${value === month}>${monthName(each)}</option>`;
  })}</select></label> <a class="btn" download href=${callUrl("usage", { ...monthQuery(month), format: "csv" }).href}>${icon("table")}CSV</a>`;
}

/** @param {UsageRow[]} rows */
export function usageByAccount(rows) {
  const all = sums(rows, (row) => `${row.account} ${row.address_class ?? ""}`).sort((one, other) => other.served_bytes - one.served_bytes);
  if (!all.length) return empty("accounts", t("accounts.usage.none"), t("accounts.usage.none.why"));
  return table({ label: t("accounts.usage"), rows: all, keyOf: (row) => row.key, columns: [{ title: t("accounts.account"), classes: "name", cell: whose }, ...figures()] });
}

/** @param {UsageRow} row */
function whose({ account, address_class: addresses }) {
  if (account === "*") return t("accounts.others");
  const name = html`<a href=${link("accounts", account)}>${hostile(account)}</a>`;
  return addresses ? html`${name} <span class="t3">· ${t(`accounts.class.${addresses}`)}</span>` : name;
}

/** @param {UsageRow[]} rows */
export function usageByDay(rows) {
  const all = sums(rows, (row) => row.day).sort((one, other) => other.day.localeCompare(one.day));
  if (!all.length) return empty("clock", t("accounts.days.none"), t("accounts.usage.none.why"));
  return table({ label: t("accounts.days"), rows: all, keyOf: (row) => row.key, columns: [{ title: t("accounts.day"), classes: "nw", cell: (row) => calendarDay(row.day) }, ...figures()] });
}

/** @returns {Array<import("../../widgets/table.js").Column<Sum>>} */
function figures() {
  return [
    { title: t("served"), classes: "used", cell: (row) => html`<span class="nw">${size(row.served_bytes)}</span>${meter([[row.share, "f1"]], "thin")}` },
    { title: t("accounts.fetched"), isNumber: true, fold: "narrow", cell: (row) => size(row.fetched_bytes) },
    { title: t("accounts.pulls"), isNumber: true, cell: (row) => count(row.pulls) },
    { title: t("nav.requests"), isNumber: true, fold: "narrow", cell: (row) => count(row.requests) },
    { title: t("accounts.refused"), isNumber: true, fold: "narrow", cell: (row) => count(row.refused) },
  ];
}
