/** Transfers: what comes in, how fast, for whom? */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { get } from "../core/api.js";
import { count } from "../core/format.js";
import { t } from "../core/i18n.js";
import { Resource } from "../core/resource.js";
import { every } from "../core/timer.js";
import { changedTransfers, transferKey } from "../core/transfer_list.js";
import { hostile } from "../core/hostile.js";
import { can } from "../core/session.js";
import { bigSize, since } from "../widgets/basics.js";
import { cancelButton, jobProgress } from "../widgets/job.js";
import { empty, pageHead, panel, whenThere } from "../widgets/panel.js";
import { transferRow } from "../widgets/transfer.js";

/** @typedef {import("../core/shapes.js").Transfer} Transfer */
/** @typedef {import("../widgets/job.js").Job} Job */
/** @typedef {{ in_bytes_per_s: number | null, out_bytes_per_s: number | null, items: Transfer[] }} Traffic */

/** Jobs that are shown, the latest first. */
const MOST_JOBS = 10;
/** Milliseconds between two looks at what the stream does not tell: the rates of all together. */
const LOOK_MS = 2000;

/** @returns {import("./pages.js").Page} */
export function transfersPage() {
  /** @type {Resource<Traffic>} */
  const traffic = new Resource(() => get("transfers"));
  /** @type {Resource<Job[]>} */
  const jobs = new Resource(async () => (await get("jobs")).items);
  const refresh = () => [traffic, jobs].forEach((each) => each.refresh());
  refresh();
  const end = every(LOOK_MS, () => traffic.refresh());
  return {
    title: () => t("nav.transfers"),
    view: () => view(traffic, jobs),
    on: {
      transfer: (changes) => take(traffic, changes),
      job: (job) => jobs.take([job, ...(jobs.value ?? []).filter((each) => each.id !== job.id)]),
    },
    refresh,
    close: () => {
      end();
      traffic.close();
      jobs.close();
    },
  };
}

/** @param {Resource<Traffic>} traffic @param {any[]} changes */
function take(traffic, changes) {
  if (traffic.value) traffic.take({ ...traffic.value, items: changedTransfers(traffic.value.items, changes) });
}

/** @param {Resource<Traffic>} traffic @param {Resource<Job[]>} jobs */
function view(traffic, jobs) {
  return html`${pageHead(t("nav.transfers"), nothing, nothing, t("transfers.about"))}
    <section class="panel">${whenThere(traffic, downloads, 6)}</section>
    ${jobs.value?.length === 0 ? nothing : panel({ title: t("transfers.jobs"), classes: "mt", content: html`<div class="in">${whenThere(jobs, (items) => html`<ul class="jobs">${items.slice(0, MOST_JOBS).map(jobRow)}</ul>`, 2)}</div>` })}`;
}

/** @param {Job} job */
function jobRow(job) {
  return html`<li><div class="h4"><span>${t(`job.kind.${job.kind}`)}${job.by ? html` <span class="t3">· ${hostile(job.by)}</span>` : nothing} <span class="t3">· ${since(job.began)}</span></span>${can("pull") ? cancelButton(job) : nothing}</div>${jobProgress(job)}</li>`;
}

/** @param {Traffic} traffic */
function downloads(traffic) {
  const { items } = traffic;
  if (!items.length) return empty("transfers", t("transfers.none"), t("transfers.none.why"));
  return html`${figures(traffic)}${repeat(items, transferKey, transferRow)}`;
}

/** @param {Traffic} traffic */
function figures({ in_bytes_per_s: coming, out_bytes_per_s: going, items }) {
  const parked = items.filter((each) => each.state === "parked").length;
  const readers = items.reduce((sum, each) => sum + each.readers.length, 0);
  return html`<dl class="figs mt">${speed(t("transfers.in"), coming)}${speed(t("transfers.out"), going)}
    <div class="fig"><dt>${t("transfers.downloads")}</dt><dd>${count(items.length - parked)}${parked ? html`<small>${t("transfers.parked", { n: parked })}</small>` : nothing}</dd></div>
    <div class="fig"><dt>${t("transfers.readers")}</dt><dd>${count(readers)}</dd></div></dl>`;
}

/** @param {string} title @param {number | null} bytes a second */
function speed(title, bytes) {
  return html`<div class="fig"><dt>${title}</dt><dd>${bigSize(bytes)}${bytes == null ? nothing : html`<span class="u">/s</span>`}</dd></div>`;
}
