/** The side bar: the pages, with quiet numbers; who is signed in; the version. */
import { html, nothing, svg } from "../../vendor/lit-html/lit-html.js";
import { ago, count, percent } from "../core/format.js";
import { hostile } from "../core/hostile.js";
import { t } from "../core/i18n.js";
import { link, place } from "../core/router.js";
import { shared, signOut, siteTitle } from "../core/session.js";
import { attempt } from "../widgets/attempt.js";
import { icon } from "../widgets/basics.js";

export const menu = { isOpen: false };

const LOGO = svg`<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="var(--accent)"></rect><g fill="var(--accent-ink)"><rect x="7" y="8" width="18" height="4" rx="1.5"></rect><rect x="7" y="14" width="18" height="4" rx="1.5"></rect><rect x="7" y="20" width="10" height="4" rx="1.5"></rect><rect x="19" y="20" width="6" height="4" rx="1.5" opacity=".45"></rect></g></svg>`;

/** Name of the page, its icon, the number beside it and its colour. @returns {Array<[string, string, string, string] | null>} */
function entries() {
  const { status } = shared, disk = status?.disk;
  const full = disk?.limit_bytes ? disk.used_bytes / disk.limit_bytes : null;
  const ill = status?.counts.upstreams_ill ?? 0;
  return [
    ["", "home", "", ""],
    ["images", "images", status?.counts.repositories == null ? "" : count(status.counts.repositories), ""],
    ["transfers", "transfers", status?.counts.downloads ? count(status.counts.downloads) : "", ""],
    ["requests", "requests", "", ""],
    ["storage", "storage", full === null ? "" : percent(full), disk?.relaying_since ? "warn" : ""],
    ["upstreams", "upstreams", ill ? t("nav.ill", { n: ill }) : "", status?.verdict.level === "bad" ? "bad" : "warn"],
    null,
    ["clients", "clients", "", ""],
    ["accounts", "accounts", "", ""],
  ];
}

export function sideBar() {
  const current = place().page;
  return html`<aside class=${`side ${menu.isOpen ? "openn" : ""}`} id="side"><div class="stick">
    <a class="brand" href="#/">${LOGO}<span>${siteTitle()}</span></a>
    <nav class="nav" aria-label=${t("nav.pages")}>${entries().map((each) => (each ? entry(each, current) : html`<hr>`))}</nav>
    <div class="foot">${who()}${versionLine()}</div></div></aside>`;
}

/** @param {[string, string, string, string]} entry @param {string} current */
function entry([page, symbol, figure, colour], current) {
  return html`<a href=${link(page)} aria-current=${page === current ? "page" : nothing}>${icon(symbol)}${t(`nav.${page || "overview"}`)}${figure ? html`<span class=${`n ${colour}`}>${figure}</span>` : nothing}</a>`;
}

function who() {
  const { session } = shared;
  if (!session) return nothing;
  const isAdmin = session.role === "admin";
  const name = session.account ? hostile(session.account) : isAdmin ? t("role.admin") : t("role.read");
  const leave = () =>
    attempt(async () => {
      await signOut();
      window.dispatchEvent(new HashChangeEvent("hashchange"));
    });
  const way = session.via === "loopback" || !session.via ? (isAdmin ? nothing : html` · <a href="#/login">${t("sign.in")}</a>`) : html` · <button class="as-link" type="button" @click=${leave}>${t("sign.out")}</button>`;
  return html`<div>${icon(isAdmin ? "user" : "lock")} ${name}${way}</div>`;
}

function versionLine() {
  const { status } = shared;
  return status ? html`<div title=${ago(status.started)}>${status.version} · ${t("up", { time: ago(status.started) })}</div>` : nothing;
}
