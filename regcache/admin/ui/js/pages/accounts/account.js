/** One account: its limits, its days, its keys. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { calendarDay, clock, count, rate } from "../../core/format.js";
import { hostile, plain } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { Resource } from "../../core/resource.js";
import { every } from "../../core/timer.js";
import { empty, pageHead, panel, whenThere } from "../../widgets/panel.js";
import { table } from "../../widgets/table.js";
import { adminButton, isAdmin } from "./admin_button.js";
import { openEnd, openNewKey } from "./changes.js";
import { identities, quota, validity } from "./limits.js";
import { findSeat, openSeatChange } from "./seat_change.js";
import { daysQuery, usageByDay } from "./usage.js";

/** @typedef {import("./shapes.js").Seat} Seat */
/** @typedef {import("./seat_change.js").Found} Found */
/** @typedef {import("../../widgets/basics.js").Content} Content */

const MINUTE_MS = 60_000;

/** @param {string} name @returns {import("../pages.js").Page} */
export function accountPage(name) {
  /** @type {Resource<Found>} */
  const found = new Resource(() => findSeat(name));
  /** @type {Resource<import("./shapes.js").UsageRow[]>} */
  const usage = new Resource(async () => (await get("usage", daysQuery(name))).items);
  const refresh = () => [...(isAdmin() ? [found] : []), usage].forEach((each) => each.refresh());
  refresh();
  const end = every(MINUTE_MS, refresh);
  return {
    title: () => plain(name),
    view: () => view(name, found, usage, refresh),
    refresh,
    close: () => {
      end();
      [found, usage].forEach((each) => each.close());
    },
  };
}

/** @param {string} name @param {Resource<Found>} found @param {Resource<any[]>} usage @param {() => void} refresh */
function view(name, found, usage, refresh) {
  const seat = found.value?.seat, isShown = seat || !isAdmin();
  const crumb = html`<p class="crumb"><a href="#/accounts">${t("nav.accounts")}</a></p>`;
  return html`${crumb}${pageHead(hostile(name), nothing, isShown ? tools(name, found.value, refresh) : nothing, seat?.note ? hostile(seat.note) : nothing)}
    <div class="grid">${isAdmin() ? seatPanels(found) : nothing}
    ${panel({ title: t("accounts.days"), content: whenThere(usage, usageByDay, 5) })}</div>`;
}

/** What may be done: one that has ended can be changed, so that it goes on. @param {string} name @param {Found | null} found @param {() => void} refresh */
function tools(name, found, refresh) {
  const change = adminButton({ label: t("accounts.change"), icon: "pencil", run: () => { if (found?.seat) openSeatChange(found.seat, found.version, refresh); } });
  if (found?.seat?.has_ended) return change;
  return html`${change}${adminButton({ label: t("accounts.key.new"), icon: "lock", run: () => openNewKey(name, refresh) })}
    ${adminButton({ label: t("accounts.end"), icon: "x", classes: "danger", run: () => openEnd(name, refresh) })}`;
}

/** @param {Resource<Found>} found */
function seatPanels(found) {
  const isOff = found.problem?.code === "NOT_SET";
  const limits = isOff || (found.value && !found.value.seat) ? noSeat() : whenThere(found, ({ seat }) => (seat ? facts(seat) : nothing), 6);
  const keys = found.value?.seat?.keys;
  return html`${panel({ title: t("accounts.limits"), classes: keys ? "c7" : "c12", content: limits })}
    ${keys ? panel({ title: t("accounts.keys"), classes: "c5", content: keysTable(keys) }) : nothing}`;
}

function noSeat() {
  return empty("accounts", t("accounts.no.seat"), t("accounts.no.seat.why"));
}

/** @param {Seat} seat */
function facts(seat) {
  /** @type {Array<[string, Content]>} */
  const rows = [
    [t("accounts.today"), quota(seat, "daily")],
    [t("accounts.this.month"), quota(seat, "monthly")],
    [t("accounts.rate"), seat.rate == null ? t("accounts.no.limit") : rate(seat.rate)],
    [t("accounts.downloads"), seat.downloads == null ? t("accounts.no.limit") : count(seat.downloads)],
    [t("nav.upstreams"), seat.upstreams === null ? t("accounts.all.upstreams") : hostile(seat.upstreams.join(", "))],
    [t("accounts.until"), validity(seat)],
    [t("accounts.known"), identities(seat)],
  ];
  const { addresses } = seat;
  if (addresses.length) rows.push([t("accounts.addresses"), addresses.map((each) => html`<span class="ib">${hostile(each.address)} <span class="t3">· ${t("accounts.address.until", { time: clock(each.until) })}</span></span> `)]);
  return html`<div class="in"><dl class="facts">${rows.map(([title, value]) => html`<dt>${title}</dt><dd>${value}</dd>`)}</dl></div>`;
}

/** @param {Seat["keys"]} rows */
function keysTable(rows) {
  if (!rows.length) return html`<p class="in t2 small">${t("accounts.keys.none")}</p>`;
  return table({
    label: t("accounts.keys"),
    rows,
    keyOf: (row) => row.key,
    columns: [
      { title: t("accounts.key.name"), cell: (row) => (row.name ? hostile(row.name) : html`<span class="t3">–</span>`) },
      { title: t("accounts.until"), cell: (row) => (row.until ? calendarDay(row.until) : html`<span class="t3">${t("accounts.no.end")}</span>`) },
      { title: t("accounts.key.hash"), cell: (row) => html`<code class="xs">${row.key.slice(7, 19)}…</code>` },
    ],
  });
}
