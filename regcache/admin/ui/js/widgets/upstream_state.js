/** How an upstream is, in a shape and a word. */
import { html } from "../../vendor/lit-html/lit-html.js";
import { clock } from "../core/format.js";
import { t } from "../core/i18n.js";
import { icon } from "./basics.js";

/** Symbol and colour. @type {Record<string, [string, string]>} */
const SHAPES = { ok: ["ok", "ok"], slow: ["clock", "warn"], limited: ["clock", "warn"], down: ["bad", "bad"] };

/** @param {import("../core/shapes.js").Upstream} upstream */
export function upstreamState({ state, since }) {
  const shape = SHAPES[state];
  if (!shape) return html`<span class="t3 nw">${t(`upstream.${state}`)}</span>`;
  if (hasFailed({ state, since })) return html`<span class="nw warn" title=${t("upstream.since", { time: clock(since) })}>${icon("warn")} ${t("upstream.failed")}</span>`;
  const title = since ? t("upstream.since", { time: clock(since) }) : "";
  return html`<span class=${`nw ${shape[1]}`} title=${title}>${icon(shape[0])} ${t(`upstream.${state}`)}</span>`;
}

/** Whether it failed when it was asked last, though not often enough to be down. @param {Pick<import("../core/shapes.js").Upstream, "state" | "since">} upstream */
export function hasFailed({ state, since }) {
  return state === "ok" && since !== null;
}

/** What is left of a rate limit. @param {import("../core/shapes.js").Upstream} upstream */
export function rateLimit({ ratelimit, state }) {
  if (!ratelimit) return html`<span class="t3 small">${state === "unasked" ? "–" : t("limit.none")}</span>`;
  const { limit, remaining, resets } = ratelimit;
  const left = limit == null ? t("limit.left", { remaining }) : t("limit.left.of", { remaining, limit });
  return html`<span class="small nw">${left}${resets ? html` <span class="t3">· ${t("limit.resets", { time: clock(resets) })}</span>` : ""}</span>`;
}

/** Take one that has changed; with one that is new the list is asked for anew. @param {import("../core/resource.js").Resource<any[]>} upstreams @param {import("../core/shapes.js").Upstream} changed */
export function takeUpstream(upstreams, changed) {
  if (!upstreams.value) return; // they are asked for just now
  const isKnown = upstreams.value.some((each) => each.name === changed.name);
  if (isKnown) upstreams.take(upstreams.value.map((each) => (each.name === changed.name ? changed : each)));
  else upstreams.refresh();
}
