/** Requests: why was it slow or refused? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { clock } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { paint } from "../../core/painting.js";
import { PagedResource, Resource } from "../../core/resource.js";
import { button } from "../../widgets/basics.js";
import { empty, pageHead } from "../../widgets/panel.js";
import { pagedTable } from "../../widgets/table.js";
import { columns } from "./columns.js";
import { asked, filterBar, fits, isFiltered } from "./filters.js";
import { dossier, loadingDossier } from "./opened.js";

/** @typedef {import("../../core/shapes.js").RequestItem} RequestItem */
/** @typedef {import("../../core/shapes.js").OpenedRequest} OpenedRequest */

/** Rows that are kept where the stream adds more. */
const MOST_ROWS = 400;
/** Pixels below the top of the page up to which the list counts as being at its top. */
const TOP_PX = 120;

/** @param {import("../../core/router.js").Place} place @returns {import("../pages.js").Page} */
export function requestsPage(place) {
  const list = new RequestList(place);
  return {
    title: () => t("nav.requests"),
    view: () => list.view(),
    on: { request: (told) => list.told(told) },
    refresh: () => list.refresh(),
    moved: (to) => list.moved(to),
    covers: () => true,
    close: () => list.close(),
  };
}

class RequestList {
  /** @param {import("../../core/router.js").Place} place */
  constructor({ rest, query }) {
    this.id = rest;
    this.query = query;
    /** @type {import("./filters.js").Counts | null} */
    this.counts = null;
    /** @type {string | null} */
    this.keptSince = null;
    /** Requests that came while the list was not at its top. */
    this.waiting = 0;
    /** @type {PagedResource<RequestItem>} */
    this.rows = new PagedResource((cursor) => this.page(cursor));
    /** @type {Resource<OpenedRequest> | null} */
    this.opened = null;
    this.rows.refresh();
    this.open(rest);
  }

  /** @param {string | null} cursor */
  async page(cursor) {
    const answer = await get("requests", { ...asked(this.query), cursor });
    this.counts = answer.counts;
    this.keptSince = answer.kept_since;
    if (!cursor) this.waiting = 0;
    return answer;
  }

  /** @param {string} id "" for none */
  open(id) {
    this.opened?.close();
    this.id = id;
    this.opened = id ? new Resource(() => get("request", { id })) : null;
    this.opened?.refresh();
  }

  /** @param {import("../../core/router.js").Place} to */
  moved({ rest, query }) {
    const isOther = String(query) !== String(this.query);
    this.query = query;
    if (rest !== this.id) this.open(rest);
    if (isOther) this.rows.begin();
  }

  refresh() {
    this.rows.refresh();
    this.opened?.refresh();
  }

  close() {
    this.rows.close();
    this.opened?.close();
  }

  /** @param {Array<RequestItem & { dropped?: number }>} told the newest last */
  told(told) {
    for (const item of told) {
      if (item.dropped) this.waiting += item.dropped;
      else this.take(item);
      if (item.id === this.id && !item.open) this.opened?.refresh();
    }
  }

  /** @param {RequestItem} item */
  take(item) {
    const known = this.rows.value;
    if (!known) return;
    const place = known.findIndex((each) => each.id === item.id);
    if (place >= 0) this.rows.take(known.with(place, item));
    else if (!fits(item, this.query)) return;
    else if (this.id || scrollY > TOP_PX) this.waiting += 1;
    else this.rows.take([item, ...known].slice(0, Math.max(MOST_ROWS, known.length)));
  }

  showNew() {
    this.rows.refresh();
    scrollTo(0, 0);
    paint();
  }

  view() {
    const note = this.keptSince ? t("requests.kept", { n: this.counts?.all ?? 0, time: clock(this.keptSince) }) : nothing;
    return html`${pageHead(t("nav.requests"), note)}
      ${this.isElsewhere() ? html`<section class="panel alone">${this.dossier()}</section>` : nothing}
      <section class="panel top-al">${filterBar(this.query, this.counts)}${this.waiting ? this.newOnes() : nothing}
      ${pagedTable(this.rows, this.model(), () => this.none())}</section>`;
  }

  newOnes() {
    return html`<div class="selbar">${button({ label: t("requests.new", { n: this.waiting }), icon: "refresh", run: () => this.showNew() })}</div>`;
  }

  /** @returns {Omit<import("../../widgets/table.js").TableModel<RequestItem>, "rows">} */
  model() {
    return {
      label: t("nav.requests"),
      keyOf: (row) => row.id,
      rowClasses: (row) => (row.id === this.id ? "open" : ""),
      detail: (row) => (row.id === this.id ? this.dossier() : nothing),
      columns: columns(this.id, Object.fromEntries(this.query)),
    };
  }

  /** Whether the opened request is not among the rows. */
  isElsewhere() {
    return this.id !== "" && this.rows.value !== null && !this.rows.value.some((each) => each.id === this.id);
  }

  dossier() {
    return this.opened?.value ? dossier(this.opened.value) : loadingDossier(this.opened);
  }

  none() {
    const isUnused = !isFiltered(this.query) && !this.query.get("since");
    return empty("requests", t(isUnused ? "requests.none" : "requests.no.match"), t("requests.none.why"), html`<a class="btn" href="#/clients">${t("nav.clients")}</a>`);
  }
}
