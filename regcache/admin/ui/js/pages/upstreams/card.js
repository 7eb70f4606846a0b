/** One upstream: its state, its account, its limit, and what it saved. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { clock, duration, percent, size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { shared } from "../../core/session.js";
import { actionButton, icon, since } from "../../widgets/basics.js";
import { failure } from "../../widgets/panel.js";
import { sparkline } from "../../widgets/sparkline.js";
import { hasFailed, rateLimit, upstreamState } from "../../widgets/upstream_state.js";

/** @typedef {import("../../core/shapes.js").Upstream} Upstream */
/** @typedef {import("../../widgets/basics.js").Content} Content */

/** @param {Upstream} upstream @param {import("./upstreams.js").Tests} tests */
export function upstreamPanel(upstream, tests) {
  const { name } = upstream, job = shared.jobs.get(tests.jobs.get(name) ?? ""), problem = tests.problems.get(name);
  const test = actionButton("test", { label: t("upstreams.test"), icon: "refresh", classes: "q", title: t("upstreams.test.title"), run: () => tests.begin(name) });
  return html`<section class="panel c6"><header><h2>${hostile(name)}</h2>${upstreamState(upstream)}<span class="sp"></span>${test}</header>
    <div class="in"><dl class="facts">${facts(upstream).map(([title, value]) => html`<dt>${title}</dt><dd>${value}</dd>`)}</dl>
    ${problem ? failure(problem) : nothing}${tests.jobs.has(name) ? steps(job) : nothing}</div></section>`;
}

/** @param {Upstream} upstream @returns {Array<[string, Content]>} */
function facts(upstream) {
  const { served_bytes_7d: served, fetched_bytes_7d: fetched, hit_ratio_7d: hits } = upstream;
  /** @type {Array<[string, Content]>} */
  const rows = [
    [t("answers.in"), answers(upstream)],
    [t("upstreams.account"), account(upstream)],
    [t("limit"), rateLimit(upstream)],
    [t("from.cache"), hits == null ? "–" : html`${percent(hits, 1)} <span class="t3">${t("upstreams.of.requests")}</span>`],
    [t("saved"), served == null || fetched == null ? "–" : html`${size(Math.max(0, served - fetched))} <span class="t3">${t("upstreams.saved.of", { served: size(served) })}</span>`],
    [t("upstreams.stored"), stored(upstream)],
    [t("upstreams.downloads"), t("upstreams.downloads.of", { n: upstream.downloads, most: upstream.max_downloads })],
  ];
  if (upstream.aliases.length) rows.push([t("upstreams.aliases"), upstream.aliases.map((each, i) => html`${i ? ", " : nothing}${hostile(each)}`)]);
  return upstream.urls.length > 1 || isIll(upstream) ? [...rows, [t("upstreams.urls"), urls(upstream)]] : rows;
}

/** Whether somebody wants to know what it said last. @param {Upstream} upstream */
function isIll(upstream) {
  return upstream.state === "down" || upstream.state === "limited" || hasFailed(upstream);
}

/** @param {Upstream} upstream */
function answers({ state, answer_p50_ms: median, answer_series_ms: series }) {
  if (median == null) return html`<span class="t3">${t(state === "unasked" ? "upstream.unasked" : "upstreams.no.answers")}</span>`;
  return html`${duration(median)} <span class="t3">${t("upstreams.median")}</span> ${sparkline(series, state === "slow" ? "w" : "")}`;
}

/** @param {Upstream} upstream */
function account({ account: name, credentials_ok: isAccepted }) {
  if (name === null) return t("upstreams.anonymous");
  const word = isAccepted === null ? nothing : isAccepted ? html`<span class="ok">${t("upstreams.accepted")}</span>` : html`<span class="bad">${icon("bad")} ${t("upstreams.refused")}</span>`;
  return html`${hostile(name)} ${word}`;
}

/** @param {Upstream} upstream */
function stored({ stored_bytes: bytes, repositories }) {
  return repositories == null ? size(bytes) : html`${size(bytes)} · ${t("upstreams.repositories", { n: repositories })}`;
}

/** Each URL with its state, its last error and when it is tried again. @param {Upstream} upstream */
function urls(upstream) {
  const word = (/** @type {{ state: string }} */ { state }) => (state === "ok" && hasFailed(upstream) ? "failed" : state);
  return html`<ul class="urls">${upstream.urls.map((each) => html`<li><code>${hostile(each.url)}</code> <span class=${word(each) === "ok" ? "ok" : "t2"}>${t(`upstream.${word(each)}`)}</span>${each.breaker === "closed" ? nothing : html` <span class="tag w">${t(`breaker.${each.breaker}`)}</span>`}
    ${each.last_error ? html`<span class="sub">${since(each.last_error.time)}: ${hostile(each.last_error.text)}</span>` : nothing}
    ${each.next_try ? html`<span class="sub">${t("upstreams.next", { time: clock(each.next_try) })}</span>` : nothing}</li>`)}</ul>`;
}

/** What a test has found so far. @param {any} job */
function steps(job) {
  if (!job) return html`<p class="small t2" role="status">${t("upstreams.testing")}</p>`;
  const isOver = !["queued", "running"].includes(job.state);
  return html`<div class="tested"><h3 class="h4"><span>${t("upstreams.tested")}</span><b>${isOver ? t(`upstreams.test.${job.state}`) : t("upstreams.testing")}</b></h3>
    <ul class="small">${job.steps.map((/** @type {{ text: string, state: string }} */ step) => html`<li>${icon(symbolOf(step.state), colourOf(step.state))} ${hostile(step.text)}</li>`)}</ul>
    ${job.error ? html`<p class="small bad">${hostile(job.error)}</p>` : nothing}</div>`;
}

/** @param {string} state */
function symbolOf(state) {
  return state === "done" ? "check" : state === "failed" ? "bad" : "clock";
}

/** @param {string} state */
function colourOf(state) {
  return state === "done" ? "ok" : state === "failed" ? "bad" : "t3";
}
