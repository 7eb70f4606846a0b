/** An image or repository that is not in the cache, or no longer. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { clock } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t, tc } from "../../core/i18n.js";
import { actionButton, icon } from "../../widgets/basics.js";
import { empty } from "../../widgets/panel.js";
import { openPull } from "../../widgets/pull_dialog.js";

/** @typedef {import("./shapes.js").Gone} Gone */

/** @param {string} name @param {string | null} reference @param {Gone | null | undefined} gone @param {() => void} refresh */
export function notHere(name, reference, gone, refresh) {
  const whole = reference === null ? name : `${name}${reference.includes(":") ? "@" : ":"}${reference}`;
  const pull = actionButton("pull", { label: t("pull.now"), icon: "transfers", classes: "p", run: () => openPull(whole, [], refresh) });
  return html`<div class="head"><nav class="crumb" aria-label=${t("crumb")}><a href="#/images">${t("nav.images")}</a>${reference === null ? nothing : html` / <span>${hostile(name)}</span>`}</nav><h1 tabindex="-1">${hostile(whole)}</h1></div>
    <section class="panel">${empty("search", html`${tc(gone ? "gone" : "not.here", { q: hostile(whole) })}`, gone ? howGone(gone) : t("not.here.why"), html`${pull}<a class="btn" href="#/images">${t("nav.images")}</a>`)}</section>`;
}

/** When it left and how, in words. @param {Gone} gone */
function howGone({ time, how, by }) {
  return html`${tc(by ? `gone.${how}.by` : `gone.${how}`, { time: clock(time), name: hostile(by) })} ${t("gone.again")}`;
}

/** What is known of an image of which nothing is here any more. @param {import("./shapes.js").Image} image @param {() => void} pull */
export function sweptNote(image, pull) {
  if (image.stored_bytes > 0) return nothing;
  const words = image.gone ? howGone(image.gone) : t("gone.unknown");
  return html`<div class="notes"><div class="note">${icon("info")}<span>${words}</span>${actionButton("pull", { label: t("pull.now"), icon: "transfers", run: pull })}</div></div>`;
}
