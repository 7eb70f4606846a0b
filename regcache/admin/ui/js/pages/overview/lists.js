/** What happens now, what went wrong lately, and who uses what. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { count, duration, percent, size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { link } from "../../core/router.js";
import { sentence } from "../../core/sentences.js";
import { meter } from "../../widgets/meter.js";
import { imageLink, partName, repositoryName } from "../../widgets/names.js";
import { outcomeChip } from "../../widgets/outcome.js";
import { panel, whenThere } from "../../widgets/panel.js";
import { transferRow } from "../../widgets/transfer.js";

/** @typedef {import("../../core/shapes.js").RequestItem} RequestItem */
/** @typedef {import("../../core/shapes.js").Top} Top */
/** @template T @typedef {import("../../core/resource.js").Resource<T>} Resource */

const SHOWN = 3;

/** @param {string} text */
function quiet(text) {
  return html`<p class="in t2 small">${text}</p>`;
}

/** @param {Resource<import("../../core/shapes.js").Transfer[]>} transfers */
export function comingIn(transfers) {
  return panel({
    title: t("coming"),
    classes: "c6",
    tools: html`<a class="small" href="#/transfers">${t("coming.all")}</a>`,
    content: whenThere(transfers, (items) => (items.length ? items.slice(0, SHOWN).map(transferRow) : quiet(t("coming.none")))),
  });
}

/** @param {Resource<RequestItem[]>} requests */
export function slowOrFailed(requests) {
  return panel({
    title: t("lately"),
    classes: "c6",
    tools: html`<a class="small" href="#/requests">${t("lately.all")}</a>`,
    content: whenThere(requests, (items) => (items.length ? html`<ul class="feed">${items.map(happening)}</ul>` : quiet(t("lately.none")))),
  });
}

/** @param {RequestItem} item */
function happening(item) {
  const name = item.repository ? `${item.upstream}/${item.repository}` : null;
  const what = name ? repositoryName(name) : t(`kind.${item.kind}`);
  const reference = item.part || item.reference?.includes(":") ? partName(item.part, item.reference) : item.reference;
  return html`<li>${outcomeChip(item.outcome)}<a href=${link("requests", item.id)}>${what}<span class="t3"> ${hostile(reference ?? "")}</span></a><span class="num small t2">${duration(item.duration_ms)}</span>
    <span class="why">${item.verdict ? sentence(item.verdict) : nothing}${item.principal ? html` · ${hostile(item.principal)}` : nothing}</span></li>`;
}

/** @param {Resource<Top[]>} top */
export function mostServed(top) {
  const rows = (/** @type {Top[]} */ items) => {
    const most = Math.max(1, ...items.map((each) => each.served_bytes));
    return html`<ul class="rank">${items.map((each) => html`<li>${imageLink(each.name)}<span class="num small">${size(each.served_bytes)}</span>${meter([[each.served_bytes / most, "f2"]])}</li>`)}</ul>`;
  };
  return panel({ title: t("top.served"), note: t("range.7d"), classes: "c6", content: ranking(top, rows) });
}

/** @param {Resource<Top[]>} top */
export function whoUsed(top) {
  const rows = (/** @type {Top[]} */ items) => {
    const most = Math.max(1, ...items.map((each) => Math.max(each.served_bytes, each.fetched_bytes)));
    return html`<ul class="rank">${items.map((each) => user(each, most))}</ul>`;
  };
  return panel({
    title: t("top.used"),
    note: t("range.7d"),
    classes: "c6",
    tools: html`<span class="small t3 nw md"><span class="sw sq l0 ib"></span> ${t("top.fetched")}</span>`,
    content: ranking(top, rows),
  });
}

/** @param {Top} item @param {number} most */
function user({ name, served_bytes: served, fetched_bytes: fetched, pulls, hit_ratio: hits }, most) {
  const told = hits === null ? t("top.pulls", { n: pulls }) : t("top.pulls.cached", { n: pulls, share: percent(hits) });
  return html`<li><a href=${link("requests", "", { q: name })}>${hostile(name)}</a><span class="num small">${size(served)} <span class="t3">· ${told}</span></span>
    ${meter([[Math.max(0, served - fetched) / most, "f2"], [Math.min(served, fetched) / most, "fg"]])}<span class="sr">${t("top.fetched")}: ${size(fetched)}, ${count(pulls)}</span></li>`;
}

/** @param {Resource<Top[]>} top @param {(items: Top[]) => import("../../widgets/basics.js").Content} show */
function ranking(top, show) {
  return html`<div class="in">${whenThere(top, (items) => (items.length ? show(items) : html`<p class="t2 small">${t("top.none")}</p>`), 5)}</div>`;
}
