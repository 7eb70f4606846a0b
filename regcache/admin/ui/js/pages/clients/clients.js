/** Set up a client: how do I use it, and does it work? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get } from "../../core/api.js";
import { hasText, t } from "../../core/i18n.js";
import { Resource } from "../../core/resource.js";
import { every } from "../../core/timer.js";
import { icon } from "../../widgets/basics.js";
import { codeBlock } from "../../widgets/code.js";
import { hostName } from "../../widgets/names.js";
import { pageHead, whenThere } from "../../widgets/panel.js";
import { table } from "../../widgets/table.js";
import { Heard } from "./heard.js";
import { seenClients } from "./seen.js";

/** Tools, as they are called. @type {Array<[string, string]>} */
export const TOOLS = [
  ["docker", "Docker"],
  ["containerd", "containerd"],
  ["k3s", "k3s"],
  ["podman", "Podman"],
  ["crio", "CRI-O"],
  ["buildkit", "BuildKit"],
  ["kubelet", "kubelet"],
  ["nerdctl", "nerdctl"],
];
const MINUTE_MS = 60_000;

/**
 * @typedef {object} Guide
 * @property {Array<{ title_code: string, text_code: string | null, blocks: import("../../widgets/code.js").Block[] }>} steps
 * @property {Array<{ registry: string, host: string }>} names
 * @property {boolean} login_needed
 * @property {string[]} notes
 */

/** @param {import("../../core/router.js").Place} place @returns {import("../pages.js").Page} */
export function clientsPage({ rest }) {
  const tool = TOOLS.some(([name]) => name === rest) ? rest : TOOLS[0][0];
  /** @type {Resource<Guide>} */
  const guide = new Resource(() => get("client-config", { tool }));
  /** @type {Resource<any[]>} */
  const seen = new Resource(async () => (await get("clients")).items);
  const heard = new Heard(tool);
  const all = [guide, seen];
  const refresh = () => all.forEach((each) => each.refresh());
  refresh();
  const end = every(MINUTE_MS, () => seen.refresh());
  return {
    title: () => t("nav.clients"),
    view: () => view(tool, guide, seen, heard),
    on: { request: (told) => heard.told(told) },
    refresh,
    close: () => {
      end();
      all.forEach((each) => each.close());
    },
  };
}

/** @param {string} tool @param {Resource<Guide>} guide @param {Resource<any[]>} seen @param {Heard} heard */
function view(tool, guide, seen, heard) {
  const about = html`${t("clients.about")} <code>regcachectl client-config ${tool}</code>`;
  return html`${pageHead(t("nav.clients"), nothing, nothing, about)}
    <div class="grid"><section class="panel c8"><header><h2 class="sr">${t("clients.steps")}</h2>${tabs(tool)}</header>
      <div class="in">${whenThere(guide, steps, 8)}${heard.view()}</div></section>
    <div class="c4 side-panels"><section class="panel"><header><h2>${t("clients.names")}</h2></header>${whenThere(guide, names, 4)}</section>
      <section class="panel"><header><h2>${t("clients.seen")}</h2></header>${whenThere(seen, seenClients, 4)}</section></div></div>`;
}

/** @param {string} chosen */
function tabs(chosen) {
  return html`<nav class="seg" aria-label=${t("clients.tool")}>${TOOLS.map(([name, title]) => html`<a href=${`#/clients/${name}`} aria-current=${name === chosen ? "page" : nothing}>${title}</a>`)}</nav>`;
}

/** @param {Guide} guide */
function steps({ steps: all, notes }) {
  return html`${notes.map((code) => html`<div class="note info">${icon("info")}<span>${wordsOf("setup.note", code)}</span></div>`)}
    <ol class="steps">${all.map(({ title_code: title, text_code: text, blocks }) => html`<li><h3>${wordsOf("setup.title", title)}</h3>${text ? html`<p>${wordsOf("setup.text", text)}</p>` : nothing}${blocks.map(codeBlock)}</li>`)}</ol>`;
}

/** What a code says; the code itself, where a newer daemon has more. @param {string} family @param {string} code */
function wordsOf(family, code) {
  const key = `${family}.${code}`;
  return hasText(key) ? t(key) : code;
}

/** @param {Guide} guide */
function names({ names: all }) {
  return table({
    label: t("clients.names"),
    rows: all,
    keyOf: (row) => row.registry,
    columns: [
      { title: t("clients.instead"), cell: (row) => hostName(row.registry) },
      { title: t("clients.write"), cell: (row) => html`<code>${hostName(row.host)}</code>` },
    ],
  });
}
