/** Tables: headers that sort, rows that can be selected, columns that fold on narrow windows. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { count as countText } from "../core/format.js";
import { t } from "../core/i18n.js";
import { showUpTo, shownOf } from "../core/more.js";
import { paint } from "../core/painting.js";
import { button, spoken } from "./basics.js";
import { skeleton, whenThere } from "./panel.js";

/** @typedef {import("./basics.js").Content} Content */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: T) => Content} cell
 * @property {string} [sort] the word of the API for this order
 * @property {boolean} [isNumber] at the right
 * @property {boolean} [isSpoken] the title is for those who hear the page
 * @property {"narrow" | "medium"} [fold] hidden on windows under 800 or 1080 px
 * @property {(row: T) => Content} [folded] what the first column says of it then
 * @property {string} [classes]
 * @property {boolean} [isMain] shows what the folded columns say; else the first does
 */

/** @typedef {{ by: string, order: "asc" | "desc" }} Sort */

/**
 * @template T
 * @typedef {object} TableModel
 * @property {string} label what the table is of
 * @property {Array<Column<T>>} columns
 * @property {T[]} rows
 * @property {(row: T) => string} keyOf
 * @property {Sort} [sort]
 * @property {(sort: Sort) => void} [resort]
 * @property {import("./selection.js").Selection} [selection]
 * @property {(row: T) => string} [nameOf] what is selected, spoken
 * @property {(row: T) => string} [rowClasses]
 * @property {(row: T) => Content} [detail] a row below it, over all columns
 * @property {string} [classes]
 */

/** @template T @param {TableModel<T>} model */
export function table(model) {
  const { columns, rows, keyOf, selection } = model;
  const order = rows.map(keyOf);
  selection?.keepOnly(order);
  return html`<div class="tw"><table class=${model.classes ?? ""} aria-label=${model.label}>
    <thead><tr>${selection ? html`<th scope="col" class="pick">${spoken(t("table.select"))}</th>` : nothing}${columns.map((column) => header(column, model))}</tr></thead>
    <tbody>${repeat(rows, keyOf, (row) => tableRow(row, model, order))}</tbody></table></div>`;
}

/** @template T @param {T} row @param {TableModel<T>} model @param {string[]} order */
function tableRow(row, model, order) {
  const { columns, selection, keyOf } = model;
  const key = keyOf(row), isSelected = selection?.has(key) ?? false;
  const detail = model.detail?.(row) ?? nothing, main = Math.max(0, columns.findIndex((each) => each.isMain));
  return html`<tr class=${`r ${isSelected ? "sel" : ""} ${model.rowClasses?.(row) ?? ""}`}>
    ${selection ? html`<td class="pick"><input type="checkbox" aria-label=${t("table.select.row", { name: model.nameOf?.(row) ?? key })} .checked=${isSelected} @click=${(/** @type {MouseEvent} */ event) => selection.toggle(key, order, event.shiftKey)} @keydown=${selectRange}></td>` : nothing}
    ${columns.map((column, i) => html`<td class=${classesOf(column)}>${column.cell(row)}${i === main ? foldedCells(row, columns) : nothing}</td>`)}</tr>
    ${detail === nothing ? nothing : html`<tr class="detail"><td colspan=${columns.length + (selection ? 1 : 0)}>${detail}</td></tr>`}`;
}

/** Shift-Space clicks with Shift held. @param {KeyboardEvent} event */
function selectRange(event) {
  if (event.key !== " " || !event.shiftKey) return;
  event.preventDefault();
  event.currentTarget?.dispatchEvent(new MouseEvent("click", { shiftKey: true, cancelable: true }));
}

/** @template T @param {T} row @param {Array<Column<T>>} columns */
function foldedCells(row, columns) {
  const shown = columns.filter((column) => column.folded).map((column) => column.folded?.(row)).filter((each) => each != null && each !== nothing && each !== "");
  return shown.length ? html`<span class="sub sm">${shown.map((each, i) => html`${i ? " · " : nothing}${each}`)}</span>` : nothing;
}

/** @template T @param {Column<T>} column @returns {string} */
function classesOf({ isNumber, fold, classes }) {
  return [isNumber ? "num" : "", fold === "narrow" ? "md" : fold === "medium" ? "lg" : "", classes ?? ""].join(" ");
}

/** @template T @param {Column<T>} column @param {TableModel<T>} model */
function header(column, { sort, resort }) {
  const { sort: word, title, isSpoken } = column;
  if (!word || !resort) return html`<th scope="col" class=${classesOf(column)}>${isSpoken ? spoken(title) : title}</th>`;
  const isChosen = sort?.by === word, isDown = sort?.order === "desc";
  const turned = () => resort({ by: word, order: isChosen ? (isDown ? "asc" : "desc") : column.isNumber ? "desc" : "asc" });
  return html`<th scope="col" class=${classesOf(column)} aria-sort=${isChosen ? (isDown ? "descending" : "ascending") : nothing}>
    <button type="button" @click=${turned}>${title}${isChosen ? html` <span aria-hidden="true">${isDown ? "↓" : "↑"}</span>` : nothing}</button></th>`;
}

/** Rows that are shown at once of those that came all together. */
const ROWS = 100;

/** A table that may be long: its first rows, and more of them when somebody asks. @template T @param {string} key what it is of, on this page @param {TableModel<T>} model */
export function longTable(key, model) {
  const { rows } = model, count = shownOf(key, ROWS);
  if (rows.length <= count) return table(model);
  const show = () => {
    showUpTo(key, count + ROWS);
    paint();
  };
  return html`${table({ ...model, rows: rows.slice(0, count) })}<footer>${t("table.shown.of", { n: count, total: countText(rows.length) })} · ${button({ label: t("table.more"), run: show, classes: "q" })}</footer>`;
}

/**
 * A table of rows that come page by page, with what stands below it.
 *
 * @template T
 * @param {import("../core/resource.js").PagedResource<T>} resource
 * @param {Omit<TableModel<T>, "rows">} model
 * @param {() => Content} whenEmpty
 */
export function pagedTable(resource, model, whenEmpty) {
  const show = (/** @type {T[]} */ rows) =>
    rows.length ? html`${table({ ...model, rows })}${below(resource, rows.length)}` : whenEmpty();
  return whenThere(resource, show, 8);
}

/** @template T @param {import("../core/resource.js").PagedResource<T>} resource @param {number} shown */
function below(resource, shown) {
  const more = resource.next ? html` · ${button({ label: t("table.more"), run: () => resource.more(), classes: "q" })}` : nothing;
  const text = resource.total == null ? t("table.shown", { n: shown }) : t("table.shown.of", { n: shown, total: countText(resource.total) });
  return html`<footer>${text}${more}${resource.isLoading && resource.isSlow ? skeleton(1) : nothing}</footer>`;
}
