/** What stands around every page. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { clock } from "../core/format.js";
import { t } from "../core/i18n.js";
import { shared } from "../core/session.js";
import { button, icon } from "../widgets/basics.js";
import { sideBar } from "./side_bar.js";
import { topBar } from "./top_bar.js";

/**
 * @param {import("../core/events.js").EventStream} stream
 * @param {import("../widgets/basics.js").Content} page
 * @param {() => void} again
 */
export function shell(stream, page, again) {
  return html`<div class="shell">${sideBar()}<div>${topBar(stream)}
    <main class="main" id="main" tabindex="-1">${shared.away ? away(again) : html`${stream.isLive || stream.isPaused ? nothing : lost(stream)}${page}`}</main></div></div>`;
}

/** @param {import("../core/events.js").EventStream} stream */
function lost(stream) {
  if (!stream.wasOpen) return nothing;
  return html`<div class="notes"><div class="note">${icon("warn")}<span>${t("stream.lost", { time: clock(stream.heard) })}</span></div></div>`;
}

/** The daemon cannot be asked at all. @param {() => void} again */
function away(again) {
  return html`<section class="panel"><div class="empty" role="alert">${icon("bad")}<h1 class="title">${t("away.title")}</h1><p>${t("away.text")}</p>
    <p><code>systemctl status regcache</code></p><div class="row">${button({ label: t("again"), icon: "refresh", run: again })}</div></div></section>`;
}
