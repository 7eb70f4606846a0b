/** What an image is started with, and its labels; all of it is text of strangers. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { exactTime } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { panel } from "../../widgets/panel.js";
import { fact } from "./facts.js";

/** @param {import("./shapes.js").PlatformDetails} details */
export function configurationPanel({ config, labels }) {
  if (!config && !labels.length) return nothing;
  return panel({ title: t("configuration"), content: html`<div class="in"><dl class="facts stack">${config ? settings(config) : nothing}${labels.map(({ key, value }) => html`<dt><code>${hostile(key)}</code></dt><dd><code>${hostile(value, { hasLines: true })}</code></dd>`)}</dl></div>` });
}

/** @param {NonNullable<import("./shapes.js").PlatformDetails["config"]>} config */
function settings(config) {
  return [
    config.created ? fact(t("config.created"), exactTime(config.created)) : nothing,
    text(t("config.author"), config.author),
    list(t("config.entrypoint"), config.entrypoint),
    list(t("config.cmd"), config.cmd),
    text(t("config.user"), config.user),
    text(t("config.workdir"), config.workdir),
    lines(t("config.ports"), config.ports),
    lines(t("config.volumes"), config.volumes),
    lines(t("config.env"), config.env),
  ];
}

/** @param {string} title @param {string | null} value */
function text(title, value) {
  return value ? fact(title, html`<code>${hostile(value)}</code>`) : nothing;
}

/** Words of a command, as JSON writes them. @param {string} title @param {string[]} words */
function list(title, words) {
  return words.length ? fact(title, html`<code>${hostile(`[${words.map((each) => JSON.stringify(each)).join(", ")}]`)}</code>`) : nothing;
}

/** @param {string} title @param {string[]} values */
function lines(title, values) {
  return values.length ? fact(title, values.map((each) => html`<div><code>${hostile(each)}</code></div>`)) : nothing;
}
