/**
 * A chart of values over time: `<time-chart .model=${…}>`.
 *
 * The drawing is uPlot's; what it lacks for people who do not see it is here: a sentence as its
 * name, arrow keys that read one point after another. A table view stands beside it (pages).
 */
import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { announce } from "./basics.js";

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {Array<number | null>} values
 * @property {string} colour name of a custom property
 * @property {number} [width]
 * @property {number} [fill] how dense the area below it is (0 to 1)
 * @property {number[]} [dash]
 *
 * @typedef {object} ChartModel
 * @property {string} label the sentence
 * @property {number[]} times Unix seconds
 * @property {Series[]} series
 * @property {boolean} [hasBand] the area between the first two
 * @property {(time: number) => string} timeText of an axis
 * @property {(time: number) => string} pointText of one point
 * @property {(value: number | null) => string} valueText
 * @property {boolean} [isElapsed] times are seconds since something began
 * @property {number[]} [splits] values at which there are lines
 */

/** light-dark() is known by painting it. @param {string} name @returns {string} */
function colourOf(name) {
  const probe = document.createElement("i");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** @param {string} colour @param {number} alpha @returns {string} */
function faded(colour, alpha) {
  return colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

const STEPS = [1, 2, 2.5, 5, 10];

/** Values for lines of an axis of sizes: round in the unit that they are written in. @param {number} most @returns {number[]} */
export function sizeSplits(most) {
  if (most <= 0) return [0];
  const unit = 1024 ** Math.max(0, Math.floor(Math.log(most) / Math.log(1024)));
  const wanted = most / unit / 4;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = (STEPS.find((each) => each * power >= wanted) ?? 10) * power * unit;
  return Array.from({ length: Math.floor((most * 1.12) / step) + 1 }, (_, i) => i * step);
}

class TimeChart extends HTMLElement {
  constructor() {
    super();
    /** @type {ChartModel | null} */
    this.shown = null;
    /** @type {any} */
    this.plot = null;
    this.tip = document.createElement("div");
    this.observer = new ResizeObserver(() => this.resize());
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
  }

  /** @param {ChartModel} model */
  set model(model) {
    this.shown = model;
    this.setAttribute("aria-label", model.label);
    if (this.isConnected) this.draw();
  }

  connectedCallback() {
    this.tabIndex = 0;
    this.setAttribute("role", "img");
    this.tip.className = "tip";
    this.observer.observe(this);
    this.scheme.addEventListener("change", this.redraw);
    document.addEventListener("themechange", this.redraw);
    this.onkeydown = (/** @type {KeyboardEvent} */ event) => this.key(event);
    this.draw();
  }

  disconnectedCallback() {
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    document.removeEventListener("themechange", this.redraw);
    this.plot?.destroy();
    this.plot = null;
  }

  resize() {
    if (this.plot && Math.abs(this.plot.width - this.clientWidth) > 1) {
      this.plot.setSize({ width: this.clientWidth, height: this.clientHeight });
    }
  }

  draw() {
    const model = this.shown;
    if (!model || !this.isConnected) return;
    this.plot?.destroy();
    this.replaceChildren();
    const data = /** @type {any} */ ([model.times, ...model.series.map((each) => each.values)]);
    this.plot = new uPlot(this.options(model), data, this);
    this.tip.hidden = true;
    this.append(this.tip);
  }

  /** @param {ChartModel} model @returns {any} */
  options(model) {
    const axis = {
      stroke: colourOf("--text-3"),
      font: `11px ${getComputedStyle(document.body).fontFamily}`,
      grid: { stroke: colourOf("--line"), width: 1 },
      ticks: { show: false },
      gap: 6,
    };
    const { splits } = model;
    return {
      width: this.clientWidth,
      height: this.clientHeight,
      padding: [8, model.isElapsed ? 22 : 4, 0, 0], // the last label stands at the right end
      legend: { show: false },
      cursor: { y: false, points: { size: 7, width: 2 }, drag: { x: false, y: false } },
      scales: { x: { time: !model.isElapsed }, y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ most) => [0, (most || 1) * 1.12] } },
      series: [{}, ...model.series.map(seriesOptions)],
      bands: model.hasBand ? [{ series: [1, 2], fill: faded(colourOf("--accent"), 0.16) }] : [],
      axes: [
        { ...axis, size: 26, grid: { show: false }, values: (/** @type {any} */ _, /** @type {number[]} */ found) => found.map(model.timeText) },
        { ...axis, size: model.isElapsed ? 74 : 60, splits: splits && (() => splits), values: (/** @type {any} */ _, /** @type {number[]} */ found) => found.map((each) => (each ? model.valueText(each) : "0")) },
      ],
      hooks: { setCursor: [(/** @type {any} */ plot) => this.point(plot)] },
    };
  }

  /** Show the values under the pointer. @param {any} plot */
  point(plot) {
    const index = plot.cursor.left >= 0 ? plot.cursor.idx : null, model = this.shown;
    this.tip.hidden = index == null || !model;
    if (index == null || !model) return;
    const rows = model.series.map((each) => line(`${each.label}  `, model.valueText(each.values[index])));
    this.tip.replaceChildren(line(model.pointText(model.times[index])), ...rows);
    const left = plot.valToPos(model.times[index], "x") + plot.over.offsetLeft, width = this.tip.offsetWidth;
    this.tip.style.left = `${left + width + 20 > this.clientWidth ? left - width - 12 : left + 12}px`;
    this.tip.style.top = "8px";
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const model = this.shown;
    if (!this.plot || !model || !["ArrowLeft", "ArrowRight", "Home", "End", "Escape"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Escape") return this.plot.setCursor({ left: -10, top: -10 });
    const index = this.following(event.key, model.times.length);
    this.plot.setCursor({ left: this.plot.valToPos(model.times[index], "x"), top: 20 });
    const values = model.series.map((each) => `${each.label} ${model.valueText(each.values[index])}`);
    announce(`${model.pointText(model.times[index])}: ${values.join(", ")}`);
  }

  /** @param {string} key @param {number} count @returns {number} */
  following(key, count) {
    if (key === "Home") return 0;
    if (key === "End") return count - 1;
    const { left, idx } = this.plot.cursor;
    const now = left >= 0 && idx != null ? idx : count;
    return Math.max(0, Math.min(count - 1, now + (key === "ArrowLeft" ? -1 : 1)));
  }
}

/** Values without a neighbour, of which a line would show nothing. @param {Array<number | null>} values @returns {number[]} their places */
function alone(values) {
  const isGap = (/** @type {number} */ i) => values[i] == null;
  return values.flatMap((value, i) => (value != null && isGap(i - 1) && isGap(i + 1) ? [i] : []));
}

/** @param {Series} series @returns {any} */
function seriesOptions(series) {
  const stroke = colourOf(series.colour);
  return {
    label: series.label,
    stroke,
    width: series.width ?? 1.6,
    fill: series.fill ? faded(stroke, series.fill) : undefined,
    dash: series.dash,
    points: { show: true, size: 5, fill: stroke, filter: () => alone(series.values) },
  };
}

/** @param {string} text @param {string} [strong] */
function line(text, strong = "") {
  const found = document.createElement("div"), bold = document.createElement("b");
  bold.textContent = strong;
  found.append(text, bold);
  return found;
}

customElements.define("time-chart", TimeChart);
