/** Images: is this image here? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { count, size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t, tc } from "../../core/i18n.js";
import { paint } from "../../core/painting.js";
import { PagedResource, Resource } from "../../core/resource.js";
import { setQuery } from "../../core/router.js";
import { shared } from "../../core/session.js";
import { every, rarely } from "../../core/timer.js";
import { meter } from "../../widgets/meter.js";
import { actionButton } from "../../widgets/basics.js";
import { empty, pageHead } from "../../widgets/panel.js";
import { openPull } from "../../widgets/pull_dialog.js";
import { Selection } from "../../widgets/selection.js";
import { pagedTable } from "../../widgets/table.js";
import { columns } from "./columns.js";
import { selectionBar } from "./selection_bar.js";

/** @typedef {import("./shapes.js").Repository} Repository */
/** @typedef {{ counted: number, repositories: number }} Counting how far the first count of a large index is */

const PAGE = 50;
/** Milliseconds after the last key before the filter is asked for. */
const TYPING_MS = 250;
/** Milliseconds between two looks at what changed. */
const CHANGED_MS = 2000;

/** @param {import("../../core/router.js").Place} place @returns {import("../pages.js").Page} */
export function repositoriesPage(place) {
  const page = new RepositoriesPage(place.query);
  const again = rarely(CHANGED_MS, () => page.changed());
  page.refresh();
  const end = every(CHANGED_MS, () => page.counting && page.changed());
  return {
    title: () => t("nav.images"),
    view: () => page.view(),
    on: { changed: again },
    refresh: () => page.refresh(),
    moved: ({ query }) => page.filter(query),
    close: () => {
      end();
      page.close();
    },
  };
}

class RepositoriesPage {
  /** @param {URLSearchParams} query */
  constructor(query) {
    this.query = query;
    this.typed = query.get("q") ?? "";
    this.selection = new Selection();
    /** @type {PagedResource<Repository>} */
    this.rows = new PagedResource((cursor) => this.page(cursor));
    /** @type {Counting | null} while not all are in the list */
    this.counting = null;
    this.partial = new Resource(() => this.total({ part: true }));
    this.pinned = new Resource(() => this.total({ pinned: true }));
    this.upstreams = new Resource(async () => (await get("upstreams")).items.map((/** @type {any} */ each) => each.name));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {string | null} cursor */
  async page(cursor) {
    const answer = await get("repositories", { ...this.asked(), limit: PAGE, cursor });
    this.counting = answer.counting;
    return answer;
  }

  /** What the address asks for. @returns {Record<string, unknown>} */
  asked() {
    const { query } = this, sort = this.sort();
    const flags = { part: query.get("part") ? true : null, pinned: query.get("pinned") ? true : null };
    return { q: query.get("q"), upstream: query.get("upstream"), ...flags, sort: sort.by, order: sort.order };
  }

  /** @returns {import("../../widgets/table.js").Sort} */
  sort() {
    const by = this.query.get("sort") ?? "pulls", usual = by === "name" ? "asc" : "desc";
    return { by, order: /** @type {"asc" | "desc"} */ (this.query.get("order") ?? usual) };
  }

  /** How many there are of a kind. @param {Record<string, unknown>} query @returns {Promise<number | null>} */
  async total(query) {
    const { total, counting } = await get("repositories", { ...query, limit: 1 });
    this.counting = counting;
    return total;
  }

  refresh() {
    for (const each of [this.rows, this.partial, this.pinned, this.upstreams]) each.refresh();
  }

  /** Something was fetched or deleted. */
  changed() {
    this.rows.renew();
    this.partial.refresh();
    this.pinned.refresh();
  }

  /** @param {URLSearchParams} query */
  filter(query) {
    if (query.toString() === this.query.toString()) return;
    if (query.get("q") !== this.query.get("q")) this.typed = query.get("q") ?? "";
    this.query = query;
    this.selection.clear();
    this.rows.begin();
  }

  close() {
    clearTimeout(this.timer);
    for (const each of [this.rows, this.partial, this.pinned, this.upstreams]) each.close();
  }

  /** @param {string} text */
  type(text) {
    this.typed = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => setQuery({ q: text.trim() }), TYPING_MS);
    paint();
  }

  view() {
    const counts = shared.status?.counts;
    const note = counts?.repositories == null ? nothing : t("images.note", { n: counts.repositories, tags: count(counts.tags), size: size(shared.status?.disk.used_bytes) });
    return html`${pageHead(t("nav.images"), note, actionButton("pull", { label: t("pull.title.short"), icon: "transfers", classes: "p", run: () => openPull("", [], () => this.refresh()) }))}
      <section class="panel"><h2 class="sr">${t("images.list")}</h2>${this.filters()}${this.counting ? progress(this.counting) : nothing}${selectionBar(this.selection, this.rows.value ?? [], () => this.refresh())}
      ${pagedTable(this.rows, { label: t("nav.images"), classes: "imgs", columns: columns(), keyOf: (row) => row.name, nameOf: (row) => row.name, sort: this.sort(), resort: (sort) => setQuery({ sort: sort.by, order: sort.order }), selection: this.selection }, () => this.nothingThere())}</section>`;
  }

  filters() {
    const { query } = this;
    const names = this.upstreams.value ?? [];
    return html`<div class="filters"><input class="grow" type="search" .value=${this.typed} placeholder=${t("images.filter")} aria-label=${t("images.filter.label")} spellcheck="false"
        @input=${(/** @type {any} */ event) => this.type(event.target.value)}>
      <select aria-label=${t("upstream")} @change=${(/** @type {any} */ event) => setQuery({ upstream: event.target.value })}><option value="">${t("upstream.all")}</option>${names.map((/** @type {string} */ each) => html`<option value=${each} ?selected=${each === query.get("upstream")}>${each}</option>`)}</select>
      ${pill(t("images.part"), this.partial.value, query.get("part") !== null, (isOn) => setQuery({ part: isOn }))}
      ${pill(t("images.pinned"), this.pinned.value, query.get("pinned") !== null, (isOn) => setQuery({ pinned: isOn }))}</div>`;
  }

  nothingThere() {
    const { q, upstream, part, pinned } = this.asked();
    if (this.counting) return empty("clock", t("images.counting.none"), t("images.counting.why"));
    if (!q && !upstream && !part && !pinned) {
      return empty("images", t("images.empty"), t("images.empty.why"), html`<a class="btn p" href="#/clients">${t("nav.clients")}</a>${actionButton("pull", { label: t("pull.title.short"), icon: "transfers", run: () => openPull() })}`);
    }
    const clear = html`<button class="btn" type="button" @click=${() => setQuery({ q: "", upstream: "", part: "", pinned: "" })}>${t("filter.clear")}</button>`;
    if (!q) return empty("filter", t("filter.none"), t("filter.none.why"), clear);
    const pull = actionButton("pull", { label: t("pull.now"), icon: "transfers", classes: "p", run: () => openPull(String(q), [], () => this.refresh()) });
    return empty("search", html`${tc("not.here", { q: hostile(q) })}`, t("not.here.why"), html`${pull}${clear}`);
  }
}

/** Not all are in the list yet. @param {Counting} counting */
function progress({ counted, repositories }) {
  return html`<div class="counting"><div class="h4"><span>${t("images.counting")}</span><b>${t("images.counting.of", { n: counted, all: repositories })}</b></div>${meter([[counted / repositories, "f1"]])}<p class="small t2">${t("images.counting.why")}</p></div>`;
}

/** @param {string} label @param {number | null} total @param {boolean} isOn @param {(isOn: boolean) => void} turn */
function pill(label, total, isOn, turn) {
  return html`<button class="pill" type="button" aria-pressed=${isOn} @click=${() => turn(!isOn)}>${label}${total == null ? nothing : html` <span class="n">${count(total)}</span>`}</button>`;
}
