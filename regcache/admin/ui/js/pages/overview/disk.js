/** The disk: how full, of what, since when, and when something goes. */
import { html, nothing, svg } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { clock, percent, size } from "../../core/format.js";
import { number, t } from "../../core/i18n.js";
import { Resource } from "../../core/resource.js";
import { bigSize } from "../../widgets/basics.js";
import { meter } from "../../widgets/meter.js";
import { panel } from "../../widgets/panel.js";
import { linePaths } from "../../widgets/sparkline.js";

/** @typedef {import("../../core/shapes.js").Disk} Disk */

const WEEK_DAYS = 7;

/** What is used in parts. @param {Disk} disk */
export function diskParts(disk) {
  const pinned = disk.pinned_bytes ?? 0, ages = disk.by_age ?? [];
  const young = (/** @type {{ to_days: number | null }} */ { to_days: days }) => days !== null && days <= WEEK_DAYS;
  const recent = ages.filter(young).reduce((all, each) => all + each.bytes, 0);
  const older = disk.by_age ? ages.filter((each) => !young(each)).reduce((all, each) => all + each.bytes, 0) : 0;
  const other = Math.max(0, disk.used_bytes - pinned - recent - older); // came since the ages were summed up
  const free = disk.limit_bytes === null ? null : Math.max(0, disk.limit_bytes - disk.used_bytes);
  return { pinned, recent, older, other, free };
}

export class DiskPanel {
  constructor() {
    /** @type {Resource<import("../../core/shapes.js").History>} */
    this.history = new Resource(() => get("history", { range: "30d" }));
  }

  /** @param {Disk} disk */
  view(disk) {
    const limit = disk.limit_bytes;
    return panel({
      title: t("disk"),
      classes: "c4",
      tools: html`<a class="small" href="#/storage">${t("disk.what")}</a>`,
      content: html`<div class="in"><p class="fig head1"><span class="v">${bigSize(disk.used_bytes)}${limit ? html`<small>${t("disk.of", { limit: size(limit), share: percent(disk.used_bytes / limit) })}</small>` : nothing}</span></p>
        ${parts(disk)}${this.trend(limit)}<p class="small t2 mt">${forecast(disk)}</p></div>`,
    });
  }

  /** @param {number | null} limit */
  trend(limit) {
    const values = this.history.value?.disk_bytes ?? [];
    const known = values.filter((each) => each !== null);
    if (known.length < 2 || !limit) return nothing;
    const { line, area } = linePaths(values, { height: 40, top: limit });
    const label = t("disk.trend", { from: size(known[0]), to: size(known[known.length - 1]) });
    return html`<div class="trend"><div class="h4"><span>${t("range.30d")}</span><span>${t("disk.limit", { limit: size(limit) })}</span></div>
      <svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label=${label}><line class="lim" x1="0" y1="1.5" x2="100" y2="1.5"></line>${svg`<path class="a" d=${area}></path><path d=${line}></path>`}</svg></div>`;
  }
}

/** @param {Disk} disk */
function parts(disk) {
  const { pinned, recent, older, other, free } = diskParts(disk);
  const whole = disk.limit_bytes || Math.max(1, disk.used_bytes);
  const isKnown = disk.by_age !== null;
  /** @type {Array<[string, string, number]>} */
  const shown = isKnown
    ? [["d1", t("disk.pinned"), pinned], ["d2", t("disk.recent"), recent + other], ["d3", t("disk.older"), older]]
    : [["d1", t("disk.pinned"), pinned], ["d2", t("disk.other"), other]];
  const bars = /** @type {Array<[number, string]>} */ (shown.map(([colour, , bytes]) => [bytes / whole, colour.replace("d", "f")]));
  return html`${meter(bars, "thick")}<ul class="legend small">${shown.map(([colour, title, bytes]) => row(colour, title, bytes))}${free === null ? nothing : row("d4", t("disk.free"), free)}</ul>`;
}

/** @param {string} colour @param {string} title @param {number} bytes */
function row(colour, title, bytes) {
  return html`<li><span class=${`sw sq ${colour}`}></span>${title}<span class="num">${size(bytes)}</span></li>`;
}

/** What comes. @param {Disk} disk @returns {string} */
function forecast(disk) {
  if (disk.relaying_since) return t("disk.relaying", { time: clock(disk.relaying_since) });
  if (disk.used_bytes === 0) return t("disk.empty");
  const days = disk.full_in_days;
  const full = days === null ? "" : days > 730 ? t("disk.full.never") : t("disk.full.in", { days: number(Math.round(days)) });
  const sweep = disk.next_sweep ? t("disk.sweep", { time: clock(disk.next_sweep) }) : "";
  return `${full} ${sweep}`.trim();
}
