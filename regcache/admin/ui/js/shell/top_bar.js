/** The top bar: the search, whether figures are live, colours, language. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { clock } from "../core/format.js";
import { language, loadTexts, t } from "../core/i18n.js";
import { paint } from "../core/painting.js";
import { chooseLanguage, chooseSlash, nextTheme, preferences } from "../core/preferences.js";
import { go, link } from "../core/router.js";
import { icon, spoken } from "../widgets/basics.js";
import { menu } from "./side_bar.js";

/** @param {import("../core/events.js").EventStream} stream */
export function topBar(stream) {
  return html`<header class="top">
    <button class="btn q menu" type="button" aria-expanded=${menu.isOpen} aria-controls="side" @click=${turnMenu}>${icon("menu")}${spoken(t("menu"))}</button>
    <form class="find" role="search" @submit=${find}>${icon("search")}<input name="q" type="search" autocomplete="off" spellcheck="false" placeholder=${t("find.placeholder")} aria-label=${t("find.label")} aria-keyshortcuts=${preferences.hasSlash ? "/" : nothing}>${slash()}</form>
    <span class="sp"></span>${live(stream)}${theme()}${otherLanguage()}</header>`;
}

/** The key that leads to the search; a click switches it off, and on. */
function slash() {
  const turn = () => {
    chooseSlash(!preferences.hasSlash);
    paint();
  };
  return html`<button class="slash" type="button" aria-pressed=${preferences.hasSlash} title=${t(preferences.hasSlash ? "slash.on" : "slash.off")} @click=${turn}><kbd>/</kbd>${spoken(t("slash"))}</button>`;
}

/** @param {import("../core/events.js").EventStream} stream */
function live(stream) {
  return html`<span class=${`live ${stream.isLive ? "" : "off"}`}><i></i><span>${stream.isLive ? t("live") : t("live.lost", { time: clock(stream.heard) })}</span></span>`;
}

function theme() {
  const turn = () => {
    nextTheme();
    document.dispatchEvent(new Event("themechange"));
    paint();
  };
  const symbols = { auto: "auto", light: "sun", dark: "moon" };
  return html`<button class="btn q" type="button" title=${t("theme.title")} @click=${turn}>${icon(symbols[preferences.theme])}${spoken(t(`theme.${preferences.theme}`))}</button>`;
}

function otherLanguage() {
  const other = language() === "en" ? "zh-CN" : "en";
  const turn = async () => {
    chooseLanguage(other);
    await loadTexts();
    document.dispatchEvent(new Event("themechange"));
    paint();
  };
  return html`<button class="btn q" type="button" lang=${other} @click=${turn}>${other === "en" ? "EN" : "中文"}</button>`;
}

function turnMenu() {
  menu.isOpen = !menu.isOpen;
  paint();
}

/** @param {SubmitEvent} event */
function find(event) {
  event.preventDefault();
  const field = /** @type {HTMLFormElement} */ (event.target).elements.namedItem("q");
  go(link("images", "", { q: /** @type {HTMLInputElement} */ (field).value.trim() }));
}

/** `/` leads to the search, unless something is typed or it is switched off. @param {KeyboardEvent} event */
export function searchByKey(event) {
  const target = /** @type {Element} */ (event.target);
  if (event.key !== "/" || !preferences.hasSlash || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.closest("input, select, textarea, dialog")) return;
  event.preventDefault();
  const field = document.querySelector(".find input");
  if (field instanceof HTMLElement) field.focus();
}
