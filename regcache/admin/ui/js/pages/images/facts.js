/** What is known of an image. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { ago, exactTime, size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { since } from "../../widgets/basics.js";
import { copyButton } from "../../widgets/copying.js";
import { few } from "../../widgets/few.js";
import { imageLink } from "../../widgets/names.js";
import { panel } from "../../widgets/panel.js";

/** @typedef {import("./shapes.js").Image} Image */

/** @param {Image} image */
export function factsPanel(image) {
  const others = image.tags_same_digest.filter((each) => each !== image.reference);
  return panel({
    title: t("facts"),
    classes: "c5",
    content: html`<div class="in"><dl class="facts">
      ${copied(t("facts.pull"), image.pull.docker)}${copied(t("digest"), image.digest)}
      ${others.length ? fact(t("facts.same"), few("same", others, (each) => imageLink(image.name, each, hostile(each)))) : nothing}
      ${fact(t("on.disk"), onDisk(image))}
      ${image.first_fetched ? fact(t("facts.first"), html`${exactTime(image.first_fetched)}${image.fetched_by ? html` <span class="t3">${t("facts.by")} ${hostile(image.fetched_by)}</span>` : nothing}`) : nothing}
      ${fact(t("last.used"), html`${since(image.last_used)}${image.pulls_30d == null ? nothing : html` · ${t("facts.pulls", { n: image.pulls_30d })}`}`)}
      ${fact(t("facts.fresh"), freshness(image))}</dl></div>`,
  });
}

/** @param {string} title @param {import("../../widgets/basics.js").Content} value */
export function fact(title, value) {
  return html`<dt>${title}</dt><dd>${value}</dd>`;
}

/** @param {string} title @param {string} text */
function copied(title, text) {
  return html`<dt>${title}</dt><dd class="cp"><code>${hostile(text)}</code>${copyButton(text, t("copy.what", { what: title }))}</dd>`;
}

/** @param {Image} image */
function onDisk({ stored_bytes: stored, own_bytes: own, shared_bytes: shared, shared_with: images }) {
  if (own === null) return size(stored);
  const rest = shared ? t("facts.shared", { own: size(own), shared: size(shared), n: images ?? 0 }) : t("facts.own");
  return html`${size(stored)} <span class="t3">· ${rest}</span>`;
}

/** @param {Image} image */
function freshness({ name, reference, checked, fresh_until: until }) {
  if (reference.includes(":")) return t("fresh.digest");
  if (!checked) return t("fresh.unknown");
  const upstream = name.slice(0, name.indexOf("/"));
  const isFresh = until !== null && Date.parse(until) > Date.now();
  return isFresh ? t("fresh.until", { upstream, checked: ago(checked), until: ago(until) }) : t("fresh.over", { upstream, checked: ago(checked) });
}
