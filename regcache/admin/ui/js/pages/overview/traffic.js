/** Traffic over time: served and fetched; what lies between was saved. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { clock, day, percent, size } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { remembered } from "../../core/memory.js";
import { paint } from "../../core/painting.js";
import { Resource } from "../../core/resource.js";
import { bigSize, button, segments } from "../../widgets/basics.js";
import { sizeSplits } from "../../widgets/chart.js";
import { empty, panel, whenThere } from "../../widgets/panel.js";
import { table } from "../../widgets/table.js";

/** @typedef {import("../../core/shapes.js").History} History */

const RANGES = ["1h", "24h", "7d", "30d"];
/** Rows of the table. */
const ROWS = 8;
const TWO_DAYS_MS = 2 * 86_400_000;

export class TrafficPanel {
  constructor() {
    this.range = "24h";
    this.isTable = false;
    /** @type {Resource<History>} */
    this.history = new Resource(() => get("history", { range: this.range }));
    this.model = remembered(chartModel);
  }

  view() {
    return panel({
      title: t("traffic"),
      classes: "c8",
      tools: html`${segments(t("range"), RANGES.map((each) => [each, t(`range.${each}`)]), this.range, (range) => this.choose(range))}
        ${button({ label: t("as.table"), icon: "table", classes: "q", isIcon: true, isPressed: this.isTable, run: () => this.turn() })}`,
      content: whenThere(this.history, (history) => this.content(history), 7),
    });
  }

  /** @param {string} range */
  choose(range) {
    this.range = range;
    this.history.refresh();
    paint();
  }

  turn() {
    this.isTable = !this.isTable;
    paint();
  }

  /** @param {History} history */
  content(history) {
    const served = sum(history.served_bytes), fetched = sum(history.fetched_bytes), asked = sum(history.requests);
    if (!asked) return nothingYet();
    return html`<dl class="figs">${figure("l1", t("served"), bigSize(served))}${figure("l2", t("fetched"), bigSize(fetched))}
      ${figure("band", t("saved"), bigSize(Math.max(0, served - fetched)), served ? percent(Math.max(0, 1 - fetched / served)) : "")}
      ${figure("", t("from.cache"), percent(sum(history.hits) / asked, 1), t("of.requests"))}</dl>
      <div class="in">${this.isTable ? periodTable(history) : html`<time-chart class="chart" .model=${this.model(history, this.range)}></time-chart>`}</div>`;
  }
}

function nothingYet() {
  return empty("transfers", t("traffic.none"), t("traffic.none.why"), html`<a class="btn p" href="#/clients">${t("nav.clients")}</a>`);
}

/** @param {string} swatch @param {string} title @param {import("../../widgets/basics.js").Content} value @param {string} [note] */
function figure(swatch, title, value, note = "") {
  return html`<div class="fig"><dt>${swatch ? html`<span class=${`sw ${swatch}`}></span>` : nothing}${title}</dt><dd>${value}${note ? html`<small>${note}</small>` : nothing}</dd></div>`;
}

/** @param {Array<number | null>} values @returns {number} */
export function sum(values) {
  return values.reduce((/** @type {number} */ all, each) => all + (each ?? 0), 0);
}

/** @param {History} history @param {string} range @returns {import("../../widgets/chart.js").ChartModel} */
function chartModel(history, range) {
  const { step_ms: step } = history, start = Date.parse(history.start);
  const isLong = history.requests.length * step > TWO_DAYS_MS;
  const series = [
    { label: t("served"), values: history.served_bytes, colour: "--accent", width: 1.7 },
    { label: t("fetched"), values: history.fetched_bytes, colour: "--grey", width: 1.4, fill: 0.28 },
  ];
  return {
    label: t("traffic.label", { range: t(`range.long.${range}`), served: size(sum(history.served_bytes)), fetched: size(sum(history.fetched_bytes)) }),
    times: history.requests.map((_, i) => (start + i * step) / 1000),
    series,
    hasBand: true,
    splits: sizeSplits(Math.max(...history.served_bytes.map((each) => each ?? 0), ...history.fetched_bytes.map((each) => each ?? 0))),
    timeText: (time) => (isLong ? day(time * 1000) : clock(time * 1000).split(" ").pop() ?? ""),
    pointText: (time) => `${clock(time * 1000)} – ${clock(time * 1000 + step)}`,
    valueText: size,
  };
}

/** The same as a table, in a few periods. @param {History} history */
function periodTable(history) {
  const count = history.requests.length, each = Math.ceil(count / ROWS), start = Date.parse(history.start);
  const rows = Array.from({ length: Math.ceil(count / each) }, (_, i) => {
    const [from, to] = [i * each, Math.min(count, (i + 1) * each)];
    const [served, fetched] = [history.served_bytes, history.fetched_bytes].map((all) => sum(all.slice(from, to)));
    return { from: start + from * history.step_ms, to: start + to * history.step_ms, served, fetched };
  });
  return table({
    label: t("traffic"),
    rows,
    keyOf: (row) => String(row.from),
    columns: [
      { title: t("time"), cell: (row) => `${clock(row.from)} – ${clock(row.to)}` },
      { title: t("served"), isNumber: true, cell: (row) => size(row.served) },
      { title: t("fetched"), isNumber: true, cell: (row) => size(row.fetched) },
      { title: t("saved"), isNumber: true, cell: (row) => (row.served ? percent(Math.max(0, 1 - row.fetched / row.served)) : "–") },
    ],
  });
}
