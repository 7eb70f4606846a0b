/** A line of the last values, without axes: the figure beside it says how much. */
import { html } from "../../vendor/lit-html/lit-html.js";

const WIDTH = 100, HEIGHT = 20, ROOM = 2;

/** @typedef {{ width?: number, height?: number, top?: number | null }} Scale top: the value at the upper edge; the largest, if null */

/** Paths of a line and of the area below it; unknown values (null) make gaps. @param {Array<number | null>} values @param {Scale} [scale] */
export function linePaths(values, { width = WIDTH, height = HEIGHT, top = null } = {}) {
  const most = top ?? Math.max(1e-9, ...values.map((each) => each ?? 0));
  const step = width / Math.max(1, values.length - 1);
  /** @type {string[][]} */
  const runs = [[]];
  values.forEach((value, i) => {
    if (value == null) runs.push([]);
    else runs[runs.length - 1].push(`${(i * step).toFixed(1)},${(height - 1 - (value / most) * (height - ROOM - 1)).toFixed(1)}`);
  });
  const known = runs.filter((run) => run.length > 0);
  return {
    line: known.map((run) => `M${run.join(" L")}`).join(" "),
    area: known.map((run) => `M${run[0].split(",")[0]},${height} L${run.join(" L")} L${run[run.length - 1].split(",")[0]},${height} Z`).join(" "),
  };
}

/** Nothing where there was nothing. @param {Array<number | null> | null | undefined} values @param {string} [classes] w: a warning */
export function sparkline(values, classes = "") {
  const known = (values ?? []).filter((each) => each != null);
  if (!values || known.length < 2 || known.every((each) => each === 0)) return html`<svg class=${`spark ${classes}`} aria-hidden="true"></svg>`;
  const { line, area } = linePaths(values);
  return html`<svg class=${`spark ${classes}`} viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">
    <path class="a" d=${area}></path><path d=${line}></path></svg>`;
}
