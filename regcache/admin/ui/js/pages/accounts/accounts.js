/** Accounts: who may pull, who uses how much? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { link } from "../../core/router.js";
import { Resource } from "../../core/resource.js";
import { shared } from "../../core/session.js";
import { every } from "../../core/timer.js";
import { codeBlock } from "../../widgets/code.js";
import { empty, pageHead, panel, whenThere } from "../../widgets/panel.js";
import { table } from "../../widgets/table.js";
import { accountPage } from "./account.js";
import { adminButton, isAdmin } from "./admin_button.js";
import { openCreation } from "./creation.js";
import { identities, quota, validity } from "./limits.js";
import { meantMonth, monthQuery, monthTools, usageByAccount } from "./usage.js";

/** @typedef {import("./shapes.js").Seat} Seat */
/** @typedef {import("./shapes.js").UsageRow} UsageRow */

const MINUTE_MS = 60_000;
/** What has to be in the configuration, so that there are seats. */
const SETTING = "access:\n  seats: /var/lib/regcache/seats.yml\n";

/** @param {import("../../core/router.js").Place} place @returns {import("../pages.js").Page} */
export function accountsPage(place) {
  return place.rest ? accountPage(place.rest) : listPage(place);
}

/** @param {import("../../core/router.js").Place} place @returns {import("../pages.js").Page} */
function listPage({ query }) {
  let month = meantMonth(query.get("month"));
  /** @type {Resource<Seat[]>} */
  const seats = new Resource(async () => (await get("seats")).items);
  /** @type {Resource<UsageRow[]>} */
  const usage = new Resource(async () => (await get("usage", monthQuery(month))).items);
  const refresh = () => [...(isAdmin() ? [seats] : []), usage].forEach((each) => each.refresh());
  refresh();
  const end = every(MINUTE_MS, refresh);
  return {
    title: () => t("nav.accounts"),
    view: () => view(seats, usage, month, refresh),
    moved: (place) => {
      month = meantMonth(place.query.get("month"));
      usage.refresh();
    },
    refresh,
    close: () => {
      end();
      [seats, usage].forEach((each) => each.close());
    },
  };
}

/** @param {Resource<Seat[]>} seats @param {Resource<UsageRow[]>} usage @param {string} month @param {() => void} refresh */
function view(seats, usage, month, refresh) {
  const isOff = seats.problem?.code === "NOT_SET";
  const create = isOff ? nothing : adminButton({ label: t("accounts.new"), icon: "accounts", classes: "p", run: () => openCreation(refresh) });
  return html`${pageHead(t("nav.accounts"), nothing, create, isAdmin() ? t("accounts.about") : t(shared.session?.account ? "accounts.about.own" : "accounts.about.reader"))}
    <div class="grid">${isAdmin() ? html`<section class="panel c12">${isOff ? notSet() : whenThere(seats, seatsTable, 6)}</section>` : nothing}
    ${panel({ title: t("accounts.usage"), tools: monthTools(month), content: whenThere(usage, usageByAccount, 4) })}</div>`;
}

function notSet() {
  return html`${empty("accounts", t("accounts.not.set"), t("accounts.not.set.why"))}<div class="in">${codeBlock({ kind: "file", path: "/etc/regcache/regcache.yml", text: SETTING, part: true })}</div>`;
}

/** @param {Seat[]} rows */
function seatsTable(rows) {
  if (!rows.length) return empty("accounts", t("accounts.none"), t("accounts.none.why"));
  return table({
    label: t("nav.accounts"),
    rows,
    keyOf: (row) => row.name,
    rowClasses: (row) => (row.has_ended ? "dim" : ""),
    columns: [
      { title: t("accounts.account"), classes: "name", cell: (row) => html`<a href=${link("accounts", row.name)}>${hostile(row.name)}</a>` },
      { title: t("accounts.today"), classes: "used", cell: (row) => quota(row, "daily") },
      { title: t("accounts.this.month"), classes: "used", cell: (row) => quota(row, "monthly") },
      { title: t("accounts.until"), fold: "narrow", cell: validity, folded: (row) => (row.until || row.ended ? validity(row) : "") },
      { title: t("accounts.known"), fold: "narrow", classes: "small t2", cell: identities, folded: identities },
      { title: t("accounts.note"), fold: "medium", classes: "small t2", cell: (row) => hostile(row.note) },
    ],
  });
}
