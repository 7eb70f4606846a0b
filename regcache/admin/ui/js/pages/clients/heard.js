/** Whether a client was heard of since the page was opened. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { hostile } from "../../core/hostile.js";
import { t, tc } from "../../core/i18n.js";
import { icon, since } from "../../widgets/basics.js";
import { repositoryName } from "../../widgets/names.js";
import { outcomeChip } from "../../widgets/outcome.js";

/** @typedef {import("../../core/shapes.js").RequestItem} RequestItem */

/** What the programs call themselves. @type {Record<string, RegExp>} */
const AGENTS = {
  docker: /^docker\//i,
  containerd: /^containerd\//i,
  k3s: /^(k3s|rke2|containerd)/i,
  podman: /^(containers|podman|skopeo|buildah|libpod)\b/i,
  crio: /^(cri-o|containers)\b/i,
  buildkit: /^(buildkit|containerd)\b/i,
  kubelet: /^(containerd|cri-o|containers)\b/i,
  nerdctl: /^(nerdctl|containerd)\b/i,
};

export class Heard {
  /** @param {string} tool */
  constructor(tool) {
    this.pattern = AGENTS[tool];
    /** @type {RequestItem | null} the last one */
    this.item = null;
  }

  /** @param {Array<RequestItem & { dropped?: number }>} told */
  told(told) {
    const found = told.filter((each) => !each.dropped && this.pattern.test(each.agent ?? ""));
    this.item = found.at(-1) ?? this.item;
  }

  view() {
    const item = this.item;
    if (!item) return html`<p class="small t2 mt waits">${icon("clock")} ${t("clients.waiting")}</p>`;
    const name = item.repository ? repositoryName(`${item.upstream ?? ""}/${item.repository}`) : hostile(item.kind);
    const values = { client: hostile(item.principal ?? item.address ?? ""), agent: hostile(item.agent ?? "") };
    return html`<div class="note info mt heard" role="status">${icon(item.failed ? "warn" : "ok")}<span>${tc("clients.heard", values)} ${since(item.time)}: ${name} ${outcomeChip(item.outcome)}${item.failed ? nothing : html` ${t("clients.works")}`}</span></div>`;
  }
}
