/** Clients that were heard of lately, and those that seem to pass the cache by. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { link } from "../../core/router.js";
import { icon, since } from "../../widgets/basics.js";

/** Rows that are shown. */
const MOST = 20;

/** @param {any[]} items */
export function seenClients(items) {
  if (!items.length) return html`<p class="in t2 small">${t("clients.seen.none")}</p>`;
  return html`<ul class="feed seen">${items.slice(0, MOST).map(seenClient)}</ul>`;
}

/** @param {any} item */
function seenClient({ principal, address, agent, last_seen: last, bypass }) {
  const name = principal ?? address ?? "–";
  return html`<li><a href=${link("requests", "", { principal: name })}>${hostile(name)}</a><span class="t3 small">${hostile(shortAgent(agent))}</span><span class="num small t2">${since(last)}</span>
    ${bypass ? html`<span class="why warn">${icon("warn")} ${t(`bypass.${bypass.reason}`)}</span>` : nothing}</li>`;
}

/** The program alone. @param {string | null} agent */
function shortAgent(agent) {
  return (agent ?? "").split(" ")[0];
}
