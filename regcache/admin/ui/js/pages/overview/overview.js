/** Overview: is it working, how full is it, who uses how much? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { count, duration } from "../../core/format.js";
import { plain } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { Resource } from "../../core/resource.js";
import { sentence } from "../../core/sentences.js";
import { shared } from "../../core/session.js";
import { every, rarely } from "../../core/timer.js";
import { changedTransfers } from "../../core/transfer_list.js";
import { notices, verdict } from "../../widgets/notices.js";
import { skeleton } from "../../widgets/panel.js";
import { hasFailed, takeUpstream } from "../../widgets/upstream_state.js";
import { DiskPanel } from "./disk.js";
import { comingIn, mostServed, slowOrFailed, whoUsed } from "./lists.js";
import { TrafficPanel } from "./traffic.js";
import { upstreamsPanel } from "./upstreams.js";

const MINUTE_MS = 60_000;
/** Milliseconds between two looks at what was counted, while there are more requests. */
const COUNTED_MS = 10_000;
/** Rows of the list of what was slow or failed. */
const LATELY = 4;

/** @typedef {import("../../core/shapes.js").Status} Status */

/** @returns {import("../pages.js").Page} */
export function overviewPage() {
  const traffic = new TrafficPanel(), disk = new DiskPanel();
  const lists = {
    upstreams: new Resource(() => items("upstreams")),
    transfers: new Resource(() => items("transfers")),
    slow: new Resource(latelySlow),
    served: new Resource(() => items("top", { by: "repository", range: "7d", limit: 5 })),
    used: new Resource(() => items("top", { by: "principal", range: "7d", limit: 5 })),
  };
  const counted = [traffic.history, disk.history, lists.served, lists.used];
  const all = [...counted, lists.upstreams, lists.transfers, lists.slow];
  const refresh = () => all.forEach((each) => each.refresh());
  refresh();
  const recount = () => counted.forEach((each) => each.refresh());
  const end = every(MINUTE_MS, recount), soon = rarely(COUNTED_MS, recount);
  let known = shared.status?.hour.requests;
  return {
    title: () => t("nav.overview"),
    view: () => view(shared.status, traffic, disk, lists),
    on: {
      transfer: (changes) => lists.transfers.take(changedTransfers(lists.transfers.value ?? [], changes)),
      upstream: (changed) => takeUpstream(lists.upstreams, changed),
      request: (told) => {
        lists.slow.take(withNew(lists.slow.value ?? [], told));
        if (shared.status?.hour.requests === null) soon(); // who is not told how many there were
      },
      status: ({ hour }) => {
        if (known != null && known !== hour.requests) soon(); // it was counted, which it is after a while
        known = hour.requests;
      },
    },
    refresh,
    close: () => {
      end();
      all.forEach((each) => each.close());
    },
  };
}

/** @param {string} path @param {Record<string, unknown>} [query] @returns {Promise<any[]>} */
async function items(path, query) {
  return (await get(path, query)).items;
}

/** The newest that were slow, and that failed. @returns {Promise<any[]>} */
async function latelySlow() {
  const asked = [{ slow: true }, { failed: true }].map((each) => items("requests", { ...each, limit: LATELY }));
  return newest((await Promise.all(asked)).flat());
}

/** @param {any[]} found @returns {any[]} each once, the newest first */
function newest(found) {
  const each = [...new Map(found.map((item) => [item.id, item])).values()];
  return each.sort((a, b) => b.time.localeCompare(a.time)).slice(0, LATELY);
}

/** @param {any[]} known @param {any[]} told */
function withNew(known, told) {
  return newest([...told.filter((each) => each.slow || each.failed), ...known]);
}

/**
 * @param {Status | null} status
 * @param {TrafficPanel} traffic
 * @param {DiskPanel} disk
 * @param {Record<string, Resource<any>>} lists
 */
function view(status, traffic, disk, lists) {
  if (!status) return html`<h1 class="sr" tabindex="-1">${t("nav.overview")}</h1>${skeleton(4)}`;
  const isEmpty = isUnused(status);
  return html`${verdict(status.verdict.level, isEmpty ? t("empty.ready") : title(status.verdict, lists.upstreams.value), isEmpty ? t("empty.ready.why") : hourLine(status))}
    ${notices(status.notices)}
    <div class="grid">${traffic.view()}${disk.view(status.disk)}${upstreamsPanel(lists.upstreams)}
    ${isEmpty ? nothing : html`${comingIn(lists.transfers)}${slowOrFailed(lists.slow)}${mostServed(lists.served)}${whoUsed(lists.used)}`}</div>`;
}

/** The verdict; upstreams that nobody has asked yet, or that failed last, are not said to answer. @param {Status["verdict"]} told @param {import("../../core/shapes.js").Upstream[] | null} upstreams */
function title(told, upstreams) {
  const answering = upstreams?.filter((each) => each.state !== "unasked" && !hasFailed(each)).length ?? 0;
  if (told.code !== "ok" || !upstreams || answering === upstreams.length) return sentence(told);
  const failed = upstreams.filter(hasFailed).map((each) => plain(each.name)).join(", ");
  return t(failed ? "ok.failed" : "ok.some", { answering, upstreams: upstreams.length, names: failed });
}

/** Nothing was ever pulled. @param {Status} status */
function isUnused({ verdict, counts, disk }) {
  return verdict.level === "ok" && counts.repositories === 0 && counts.downloads === 0 && disk.used_bytes === 0;
}

/** The last hour in a line. @param {Status} status */
function hourLine({ hour }) {
  if (hour.requests == null) return nothing;
  const first = t("hour", { n: hour.requests, failed: count(hour.failed) });
  return hour.first_byte_p50_ms == null ? first : `${first} ${t("hour.half", { time: duration(hour.first_byte_p50_ms) })}`;
}
