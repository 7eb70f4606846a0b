/** A panel: its title, what is in it, and what it shows while that is not there. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { hostile } from "../core/hostile.js";
import { hasText, t } from "../core/i18n.js";
import { button, icon } from "./basics.js";

/** @typedef {import("./basics.js").Content} Content */

/**
 * @param {object} options
 * @param {string} options.title
 * @param {string} [options.note] beside the title
 * @param {Content} [options.tools] at the right of the title
 * @param {Content} options.content
 * @param {string} [options.classes] its columns: c4, c6, c8, c12
 */
export function panel({ title, note = "", tools = nothing, content, classes = "c12" }) {
  return html`<section class=${`panel ${classes}`}><header><h2>${title}</h2>${note ? html`<span class="small t3">${note}</span>` : nothing}<span class="sp"></span>${tools}</header>${content}</section>`;
}

/**
 * What a resource holds, or why it does not, or a skeleton. Known data is never hidden.
 *
 * @template T
 * @param {import("../core/resource.js").Resource<T>} resource
 * @param {(value: T) => Content} show
 * @param {number} [rows] of the skeleton
 */
export function whenThere(resource, show, rows = 3) {
  if (resource.value !== null) {
    return html`${resource.problem ? failure(resource.problem, () => resource.refresh()) : nothing}${show(resource.value)}`;
  }
  if (resource.problem) return failure(resource.problem, () => resource.refresh());
  return resource.isSlow ? skeleton(rows) : html`<div class="waiting" aria-busy="true">${blank(rows)}</div>`;
}

/** Rows of the height that they will have. @param {number} rows */
export function skeleton(rows) {
  return html`<div class="in waiting" aria-busy="true"><span class="sr">${t("loading")}</span>${Array.from({ length: rows }, () => html`<span class="sk"></span>`)}</div>`;
}

/** @param {number} rows */
function blank(rows) {
  return Array.from({ length: rows }, () => html`<span class="sk none"></span>`);
}

/** Why something failed: its code, its text, the id of the request. @param {import("../core/api.js").Problem} problem @param {() => void} [again] */
export function failure(problem, again) {
  const code = `problem.${problem.code}`;
  const reason = `${code}.${problem.params.reason}`;
  const key = hasText(reason) ? reason : code;
  return html`<div class="failed" role="alert">${icon("bad", "bad")}<div><b>${hasText(key) ? t(key) : t("problem.other")}</b>
    <p class="small t2">${hostile(problem.message)}</p>
    <p class="xs t3"><code>${hostile(problem.code)}</code>${problem.requestId ? html` · ${t("problem.request")} <code>${hostile(problem.requestId)}</code>` : nothing}</p></div>
    ${again ? button({ label: t("again"), icon: "refresh", run: again }) : nothing}</div>`;
}

/**
 * Nothing is there: what that means, and what to do.
 *
 * @param {string} symbol @param {Content} title @param {Content} why @param {Content} [next]
 */
export function empty(symbol, title, why, next = nothing) {
  return html`<div class="empty">${icon(symbol)}<p class="title">${title}</p><p>${why}</p>${next === nothing ? nothing : html`<div class="row">${next}</div>`}</div>`;
}

/** The head of a page. @param {Content} title @param {Content} [note] @param {Content} [tools] @param {Content} [more] a line below */
export function pageHead(title, note = nothing, tools = nothing, more = nothing) {
  return html`<div class="head"><h1 tabindex="-1">${title}</h1>${note === nothing ? nothing : html`<span class="t2">${note}</span>`}<span class="sp"></span>${tools}${more === nothing ? nothing : html`<p>${more}</p>`}</div>`;
}
