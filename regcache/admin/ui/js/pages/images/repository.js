/** One repository: which tags of it are here? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { clock, size } from "../../core/format.js";
import { hostile, plain } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { PagedResource, Resource } from "../../core/resource.js";
import { go, link } from "../../core/router.js";
import { rarely } from "../../core/timer.js";
import { actionButton, icon, since } from "../../widgets/basics.js";
import { few } from "../../widgets/few.js";
import { imageLink, pinMark } from "../../widgets/names.js";
import { failure } from "../../widgets/panel.js";
import { pagedTable } from "../../widgets/table.js";
import { platformList } from "./columns.js";
import { notHere } from "./not_here.js";
import { deleteAll } from "./selection_bar.js";

/** @typedef {import("./shapes.js").TagRow} TagRow */

const CHANGED_MS = 2000;

/** @param {string} name @returns {import("../pages.js").Page} */
export function repositoryPage(name) {
  /** @type {Resource<import("./shapes.js").Repository>} */
  const repository = new Resource(() => get("repository", { name }));
  /** @type {PagedResource<TagRow>} */
  const tags = new PagedResource((cursor) => get("tags", { name, cursor }));
  const refresh = () => [repository, tags].forEach((each) => each.refresh());
  const again = rarely(CHANGED_MS, () => [repository.refresh(), tags.renew()]);
  refresh();
  return {
    title: () => plain(name),
    view: () => (["NOT_CACHED", "UNKNOWN_UPSTREAM", "INVALID"].includes(repository.problem?.code ?? "") ? notHere(name, null, repository.problem?.params.gone, refresh) : view(name, repository, tags)),
    on: { changed: ({ repositories }) => concerns(repositories, name) && again() },
    refresh,
    close: () => [repository, tags].forEach((each) => each.close()),
  };
}

/** Whether an event tells of a repository; one without names may mean any. @param {string[]} names @param {string} name */
export function concerns(names, name) {
  return names.length === 0 || names.includes(name);
}

/** The way back. @param {string} name @param {boolean} [isLink] the name leads to the repository */
export function crumb(name, isLink = false) {
  return html`<nav class="crumb" aria-label=${t("crumb")}><a href="#/images">${t("nav.images")}</a> / ${isLink ? html`<a href=${link("images", name)}>${hostile(name)}</a>` : hostile(name.split("/")[0])}</nav>`;
}

/** @param {string} name @param {Resource<import("./shapes.js").Repository>} repository @param {PagedResource<TagRow>} tags */
function view(name, repository, tags) {
  const known = repository.value;
  const remove = () => deleteAll([{ name }], { closed: () => go("#/images") });
  return html`<div class="head">${crumb(name)}<h1 tabindex="-1">${hostile(name.slice(name.indexOf("/") + 1))}</h1><span class="sp"></span>
    ${actionButton("delete", { label: t("delete.repository"), icon: "trash", classes: "danger", run: remove })}<p>${t("repository.note")}</p></div>
    ${repository.problem ? failure(repository.problem, () => repository.refresh()) : nothing}
    ${known?.upstream_closed ? html`<div class="notes"><div class="note">${icon("lock")}<span>${t("repository.closed", { time: clock(known.upstream_closed.since) })}</span></div></div>` : nothing}
    <section class="panel"><h2 class="sr">${t("tags")}</h2>${pagedTable(tags, { label: t("tags"), columns: columns(name), keyOf: (row) => row.digest }, () => html`<p class="in t2">${t("tags.none")}</p>`)}</section>`;
}

/** @param {string} name @returns {Array<import("../../widgets/table.js").Column<TagRow>>} */
function columns(name) {
  return [
    { title: t("tags"), classes: "name", cell: (row) => tagCell(name, row) },
    { title: t("platforms.cached"), fold: "narrow", cell: (row) => platformList(row.platforms, row.digest), folded: (row) => platformList(row.platforms, row.digest) },
    { title: t("frees.alone"), isNumber: true, cell: (row) => size(row.frees_bytes) },
    { title: t("checked"), isNumber: true, fold: "narrow", classes: "t2", cell: (row) => since(row.checked) },
    { title: t("last.used"), isNumber: true, cell: (row) => since(row.last_used) },
  ];
}

/** @param {string} name @param {TagRow} row */
function tagCell(name, { tags, digest, pinned }) {
  const [first, ...more] = tags;
  const named = first ? imageLink(name, first, hostile(first)) : imageLink(name, digest, html`<code>${hostile(digest.slice(0, 19))}</code>`);
  return html`${named}${more.length ? html` <span class="t3 small">${few(`tags ${digest}`, more, (each) => hostile(each))}</span>` : nothing}${pinned ? pinMark() : nothing}`;
}
