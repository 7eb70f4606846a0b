/** The verdict on everything, and notices, the worst first. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { hasText, t } from "../core/i18n.js";
import { sentence } from "../core/sentences.js";
import { icon } from "./basics.js";

/** @type {Record<string, string>} */
const SYMBOLS = { ok: "ok", warn: "warn", bad: "bad" };

/** @param {"ok" | "warn" | "bad"} level @param {import("./basics.js").Content} title @param {import("./basics.js").Content} line */
export function verdict(level, title, line) {
  return html`<div class="say">${icon(SYMBOLS[level], level)}<div><span class="sr">${t(`level.${level}`)}: </span><h1 tabindex="-1">${title}</h1><p>${line}</p></div></div>`;
}

/** @param {import("../core/shapes.js").Notice[]} items */
export function notices(items) {
  return items.length ? html`<div class="notes">${items.map(notice)}</div>` : nothing;
}

/** @param {import("../core/shapes.js").Notice} told */
function notice(told) {
  const target = told.link?.startsWith("#/") ? told.link : null;
  const own = `link.${told.code}`, label = hasText(own) ? own : `link.${target?.split(/[/?]/)[1] ?? ""}`;
  return html`<div class=${`note ${told.level === "bad" ? "bad" : ""}`}>${icon("warn")}${told.level === "bad" ? html`<span class="sr">${t("level.bad")}: </span>` : nothing}<span>${sentence(told)}</span><span class="sp"></span>${target ? html`<a href=${target}>${hasText(label) ? t(label) : t("link.more")}</a>` : nothing}</div>`;
}
