/** An image or repository that is not in the cache, or no longer. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { hostile } from "../../core/hostile.js";
import { t, tc } from "../../core/i18n.js";
import { actionButton } from "../../widgets/basics.js";
import { empty } from "../../widgets/panel.js";
import { openPull } from "../../widgets/pull_dialog.js";

/** @param {string} name @param {string | null} reference @param {() => void} refresh */
export function notHere(name, reference, refresh) {
  const whole = reference === null ? name : `${name}${reference.includes(":") ? "@" : ":"}${reference}`;
  const pull = actionButton("pull", { label: t("pull.now"), icon: "transfers", classes: "p", run: () => openPull(whole, [], refresh) });
  return html`<div class="head"><nav class="crumb" aria-label=${t("crumb")}><a href="#/images">${t("nav.images")}</a>${reference === null ? nothing : html` / <span>${hostile(name)}</span>`}</nav><h1 tabindex="-1">${hostile(whole)}</h1></div>
    <section class="panel">${empty("search", html`${tc("not.here", { q: hostile(whole) })}`, t("not.here.why"), html`${pull}<a class="btn" href="#/images">${t("nav.images")}</a>`)}</section>`;
}
