/** How far a job is: work that goes on behind the answers. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { get, post } from "../core/api.js";
import { percent, size } from "../core/format.js";
import { hostile } from "../core/hostile.js";
import { t } from "../core/i18n.js";
import { shared, takeJob } from "../core/session.js";
import { attempt } from "./attempt.js";
import { announce, button, icon } from "./basics.js";
import { meter } from "./meter.js";

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {string} kind
 * @property {string | null} by
 * @property {"queued" | "running" | "done" | "failed" | "cancelled"} state
 * @property {string} began
 * @property {string | null} ended
 * @property {number} done_bytes
 * @property {number | null} total_bytes
 * @property {Array<{ text: string, state: string }>} steps
 * @property {any} result
 * @property {string | null} error
 */

const ENDED = ["done", "failed", "cancelled"];
const LOOK_MS = 2000;

/** @param {Job | undefined} job */
export function hasEnded(job) {
  return job !== undefined && ENDED.includes(job.state);
}

/** A job that was told of. @param {string} id @returns {Job | undefined} */
export function jobOf(id) {
  return shared.jobs.get(id);
}

/** Look after a job of one's own until it ends, and say so then; the stream may be away. @param {string} id @param {(job: Job) => void} [ended] */
export async function followJob(id, ended) {
  while (!hasEnded(jobOf(id))) {
    takeJob(await get("job", { id }));
    if (!hasEnded(jobOf(id))) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const job = /** @type {Job} */ (jobOf(id));
  announce(t(`job.${job.state}.spoken`, { kind: t(`job.kind.${job.kind}`) }));
  ended?.(job);
}

/** Call it off. @param {string} id */
export async function cancelJob(id) {
  takeJob(await post("jobs/cancel", { id }));
}

/** @param {Job} job */
export function jobProgress(job) {
  const { done_bytes: done, total_bytes: total, state } = job;
  const share = state === "done" ? 1 : total ? done / total : 0;
  return html`<div class="job"><div class="h4"><span>${stateMark(job)}</span><b>${total ? t("part.of", { here: size(done), all: size(total) }) : size(done)}${total && state === "running" ? html` · ${percent(share)}` : nothing}</b></div>
    ${meter([[share, state === "failed" ? "fb" : "f1"]])}
    ${job.error ? html`<p class="small bad">${icon("bad")} ${hostile(job.error)}</p>` : nothing}
    ${job.steps.length ? html`<ul class="small steps-of">${job.steps.map((step) => html`<li class=${step.state === "done" ? "" : "t2"}>${icon(step.state === "done" ? "check" : "clock", step.state === "done" ? "ok" : "")} ${hostile(step.text)}</li>`)}</ul>` : nothing}</div>`;
}

/** @param {Job} job */
export function stateMark({ state }) {
  const symbols = { queued: "clock", running: "transfers", done: "ok", failed: "bad", cancelled: "x" };
  const colours = { queued: "", running: "", done: "ok", failed: "bad", cancelled: "warn" };
  return html`<span class=${`nw ${colours[state]}`}>${icon(symbols[state])} ${t(`job.${state}`)}</span>`;
}

/** @param {Job} job */
export function cancelButton(job) {
  return hasEnded(job) ? nothing : button({ label: t("cancel"), icon: "x", run: () => attempt(() => cancelJob(job.id)) });
}
