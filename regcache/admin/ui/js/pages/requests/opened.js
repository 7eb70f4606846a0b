/** One request, opened: why it took so long, or was refused, and the evidence. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { duration, percent, size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t, tc } from "../../core/i18n.js";
import { sentence } from "../../core/sentences.js";
import { icon } from "../../widgets/basics.js";
import { meter } from "../../widgets/meter.js";
import { imageLink } from "../../widgets/names.js";
import { failure, skeleton } from "../../widgets/panel.js";
import { rateChart } from "./rates.js";
import { waterfall } from "./waterfall.js";

/** @typedef {import("../../core/shapes.js").OpenedRequest} OpenedRequest */
/** @typedef {import("../../widgets/basics.js").Content} Content */

/** @param {import("../../core/resource.js").Resource<OpenedRequest> | null} resource */
export function loadingDossier(resource) {
  const content = resource?.problem ? failure(resource.problem, () => resource.refresh()) : skeleton(3);
  return html`<div class="dossier">${content}</div>`;
}

/** @param {OpenedRequest} item */
export function dossier(item) {
  return html`<div class="dossier">${headline(item)}
    ${item.phases?.length || item.samples || item.waits ? html`<div class="two">${before(item)}${transfer(item)}</div>` : nothing}
    <footer>${facts(item)}</footer></div>`;
}

/** @param {OpenedRequest} item */
function headline(item) {
  const symbol = item.failed ? icon("bad", "bad") : item.slow ? icon("clock") : icon("info", "info");
  const title = item.verdict ? sentence(item.verdict) : item.open ? t("outcome.open") : t("requests.no.verdict");
  return html`<div class="verdict">${symbol}<h2>${title}</h2><p>${explanation(item)}</p></div>`;
}

/** Where the time went, what broke, and what was said of it. @param {OpenedRequest} item */
function explanation({ duration_ms: took, waits, events, error, phases, slow, failed }) {
  /** @type {Content[]} */
  const said = [];
  const most = longest(waits);
  if (most && took) said.push(tc(`requests.waited.${most[0]}`, { took: duration(took), time: duration(most[1]) }));
  const breaks = (events ?? []).filter((each) => each.kind === "broken");
  if (breaks.length) said.push(t("requests.breaks", { n: breaks.length, at: size(breaks[0].offset_bytes) }));
  if (error) said.push(hostile(error));
  if (!phases && (slow || failed)) said.push(t("requests.details.gone"));
  return said.map((each, i) => html`${i ? " " : nothing}${each}`);
}

const WAITS = /** @type {const} */ (["upstream", "client", "disk"]);
const COLOURS = { upstream: "f1", client: "f3", disk: "fg" };
const SWATCHES = { upstream: "d1", client: "d3", disk: "l0" };

/** @param {OpenedRequest["waits"]} waits @returns {["upstream" | "client" | "disk", number] | null} */
function longest(waits) {
  if (!waits) return null;
  const found = WAITS.map((each) => /** @type {[typeof each, number]} */ ([each, waits[`${each}_ms`]]));
  found.sort((a, b) => b[1] - a[1]);
  return found[0][1] > 0 ? found[0] : null;
}

/** @param {OpenedRequest} item */
function before({ phases, first_byte_ms: first }) {
  return html`<section><h3 class="h4"><span>${t("requests.before")}</span><b>${duration(first)}</b></h3>
    ${phases?.length ? waterfall(phases, first) : html`<p class="small t2">${t("requests.no.phases")}</p>`}</section>`;
}

/** @param {OpenedRequest} item */
function transfer(item) {
  const spent = item.first_byte_ms == null ? null : Math.max(0, item.duration_ms - item.first_byte_ms);
  return html`<section><h3 class="h4"><span>${t("requests.transfer")}</span><b>${size(item.sent_bytes)} · ${duration(spent)}</b></h3>
    ${item.samples?.bytes.length ? rateChart(item) : nothing}${item.waits ? waitedFor(item.waits) : nothing}</section>`;
}

/** @param {NonNullable<OpenedRequest["waits"]>} waits */
function waitedFor(waits) {
  const all = WAITS.reduce((sum, each) => sum + waits[`${each}_ms`], 0);
  if (!all) return html`<p class="small t2">${t("requests.waited.none")}</p>`;
  return html`<h3 class="h4 mt"><span>${t("requests.waited")}</span></h3>
    ${meter(WAITS.map((each) => [waits[`${each}_ms`] / all, COLOURS[each]]), "thick")}
    <ul class="legend small">${WAITS.map((each) => html`<li><span class=${`sw sq ${SWATCHES[each]}`}></span>${t(`requests.wait.${each}`)}<span class="num">${duration(waits[`${each}_ms`])} · ${percent(waits[`${each}_ms`] / all)}</span></li>`)}</ul>`;
}

/** @param {OpenedRequest} item */
function facts(item) {
  const name = item.repository ? `${item.upstream ?? ""}/${item.repository}` : null;
  const client = [item.principal, item.address, item.agent].filter((each, i, all) => each && all.indexOf(each) === i);
  /** @type {Array<[string, Content]>} */
  const rows = [
    [t("requests.what"), html`<code>${hostile(item.method)}</code> ${hostile(name ?? t(`kind.${item.kind}`))} <code>${hostile(item.reference ?? "")}</code>`],
    [t("requests.client"), client.map((each, i) => html`${i ? " · " : nothing}${hostile(each)}`)],
    [t("requests.belongs"), belongs(item, name)],
    [t("requests.answer"), html`${item.status ?? "–"}${item.cache_status ? html` · <code>${hostile(item.cache_status)}</code>` : nothing}`],
    [t("requests.from"), item.hosts.length ? item.hosts.map((each, i) => html`${i ? " → " : nothing}${hostile(each)}`) : t("requests.from.cache")],
    [t("requests.id"), html`<code>${hostile(item.id)}</code> <span class="t3">${t("requests.id.log")}</span>`],
  ];
  return html`<dl class="facts wide">${rows.map(([title, value]) => html`<dt>${title}</dt><dd>${value}</dd>`)}</dl>`;
}

/** @param {OpenedRequest} item @param {string | null} name */
function belongs({ image, part }, name) {
  if (!name) return "–";
  const link = image ? imageLink(image.name, image.reference, hostile(`${image.name}${image.reference.includes(":") ? "@" : ":"}${image.reference}`)) : imageLink(name);
  return html`${link}${image?.platform ? html` · ${hostile(image.platform)}` : nothing}${part ? html` · ${t("part.layer", part)}` : nothing}`;
}
