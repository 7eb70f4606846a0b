/** How fast one answer was over its time, beside what its upstream usually sends. */
import { html } from "../../../vendor/lit-html/lit-html.js";
import { duration, rate } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { remembered } from "../../core/memory.js";
import { sizeSplits } from "../../widgets/chart.js";

/** @typedef {import("../../core/shapes.js").OpenedRequest} OpenedRequest */

const model = remembered(chartModel);

/** @param {OpenedRequest} item */
export function rateChart(item) {
  return html`<time-chart class="chart low" .model=${model(item)}></time-chart>`;
}

/** @param {OpenedRequest} item @returns {import("../../widgets/chart.js").ChartModel} */
function chartModel({ samples, median_bytes_per_s_7d: median }) {
  const { step_ms: step, bytes } = samples ?? { step_ms: 1, bytes: [] };
  const rates = bytes.map((each) => (each * 1000) / Math.max(1, step));
  const average = rates.reduce((sum, each) => sum + each, 0) / Math.max(1, rates.length);
  const series = [{ label: t("requests.rate"), values: rates, colour: "--accent", fill: 0.14 }];
  if (median != null) series.push({ label: t("requests.median"), values: rates.map(() => median), colour: "--text-3", ...DASHED });
  return {
    label: t(median == null ? "requests.rate.label" : "requests.rate.label.median", { average: rate(average), median: rate(median) }),
    times: rates.map((_, i) => (i * step) / 1000),
    series,
    splits: sizeSplits(Math.max(...rates, median ?? 0)),
    timeText: elapsed,
    pointText: elapsed,
    valueText: rate,
    isElapsed: true,
  };
}

/** @param {number} seconds since the beginning */
function elapsed(seconds) {
  return seconds ? duration(seconds * 1000) : "0";
}

const DASHED = { width: 1, dash: [4, 4], fill: 0 };
