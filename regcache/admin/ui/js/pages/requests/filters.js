/** Which requests are shown: filters that live in the address, and the row of controls for them. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { count } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { setQuery } from "../../core/router.js";
import { icon } from "../../widgets/basics.js";

/** @typedef {import("../../core/shapes.js").RequestItem} RequestItem */
/** @typedef {{ all: number, slow: number, failed: number, miss: number, stale: number }} Counts */

const HOUR_MS = 3_600_000;
/** @type {Record<string, number>} */
const SINCE_MS = { "1h": HOUR_MS, "24h": 24 * HOUR_MS };
/** Milliseconds of silence after which what was typed is asked for. */
const TYPED_MS = 250;
/** Those that have no control of their own: they come with links from other pages. */
const GIVEN = ["upstream", "principal", "kind"];
const TEXT_FIELDS = /** @type {const} */ (["upstream", "repository", "reference", "digest", "principal", "address", "agent"]);

/** @param {URLSearchParams} query what the API is asked for */
export function asked(query) {
  const since = SINCE_MS[query.get("since") ?? ""];
  return {
    q: query.get("q"),
    upstream: query.get("upstream"),
    principal: query.get("principal"),
    kind: query.get("kind"),
    outcome: query.get("outcome"),
    slow: query.get("slow") === "1" || null,
    failed: query.get("failed") === "1" || null,
    since: since ? new Date(Date.now() - since).toISOString() : null,
  };
}

/** Whether a request that was told of belongs to the list. @param {RequestItem} item @param {URLSearchParams} query */
export function fits(item, query) {
  const { q, outcome, slow, failed, upstream, principal, kind } = asked(query);
  const text = TEXT_FIELDS.map((name) => item[name] ?? "").join("\n").toLowerCase();
  return [
    !q || text.includes(q.toLowerCase()),
    !outcome || item.outcome === outcome,
    !slow || item.slow,
    !failed || item.failed,
    !upstream || item.upstream === upstream,
    !principal || [item.principal, item.address].includes(principal),
    !kind || item.kind === kind,
  ].every(Boolean);
}

/** @param {URLSearchParams} query */
export function isFiltered(query) {
  return [...GIVEN, "q", "outcome", "slow", "failed"].some((name) => query.get(name));
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typed;

/** @param {InputEvent} event */
function ask({ target }) {
  const { value } = /** @type {HTMLInputElement} */ (target);
  clearTimeout(typed);
  typed = setTimeout(() => setQuery({ q: value }), TYPED_MS);
}

/** @param {URLSearchParams} query @param {Counts | null} counts */
export function filterBar(query, counts) {
  return html`<div class="filters"><input class="grow" type="search" maxlength="256" .value=${query.get("q") ?? ""}
      placeholder=${t("requests.filter")} aria-label=${t("requests.filter")} @input=${ask}>
    ${GIVEN.map((name) => given(name, query.get(name)))}
    ${CHOICES.map(([name, change]) => pill(name, change, query, counts))}
    <select aria-label=${t("requests.since")} @change=${(/** @type {Event} */ event) => setQuery({ since: /** @type {HTMLSelectElement} */ (event.target).value })}>
      ${["", ...Object.keys(SINCE_MS)].map((each) => html`<option value=${each} ?selected=${each === (query.get("since") ?? "")}>${t(each ? `requests.since.${each}` : "requests.since.all")}</option>`)}
    </select></div>`;
}

/** @type {Array<[keyof Counts, Record<string, string | null>]>} */
const CHOICES = [
  ["all", {}],
  ["slow", { slow: "1" }],
  ["failed", { failed: "1" }],
  ["miss", { outcome: "miss" }],
  ["stale", { outcome: "stale" }],
];
const NONE = { slow: null, failed: null, outcome: null };

/** @param {keyof Counts} name @param {Record<string, string | null>} change @param {URLSearchParams} query @param {Counts | null} counts */
function pill(name, change, query, counts) {
  const wanted = { ...NONE, ...change };
  const isPressed = Object.entries(wanted).every(([key, value]) => (query.get(key) ?? null) === value);
  return html`<button class="pill" type="button" aria-pressed=${isPressed} @click=${() => setQuery(wanted)}>${t(`requests.${name}`)}${counts ? html` <span class="n">${count(counts[name])}</span>` : nothing}</button>`;
}

/** A filter that came with a link; pressing it takes it away. @param {string} name @param {string | null} value */
function given(name, value) {
  if (!value) return nothing;
  return html`<button class="pill" type="button" aria-pressed="true" title=${t("requests.filter.remove")} @click=${() => setQuery({ [name]: null })}>${hostile(value)} ${icon("x")}</button>`;
}
