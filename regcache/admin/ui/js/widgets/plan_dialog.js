/**
 * A removal in two steps: a plan is shown, and the plan that is shown is the one that runs.
 *
 * state      event                       what holds afterwards
 * --------   -------------------------   ---------------------------------------------
 * planning   the daemon made the plan    shown
 * shown      Remove                      running; 410 (five minutes): planning again;
 *                                        409 (more would go): shown again, and says so
 * running    the job ended               ended
 * any        the daemon refuses          failed, with the way back
 */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { post, Problem } from "../core/api.js";
import { size } from "../core/format.js";
import { hostile, plain } from "../core/hostile.js";
import { t } from "../core/i18n.js";
import { paint } from "../core/painting.js";
import { bigSize, button, icon } from "./basics.js";
import { closeDialog, dialogFrame, openDialog } from "./dialog.js";
import { few } from "./few.js";
import { followJob, jobOf, jobProgress } from "./job.js";
import { repositoryName, shortReference } from "./names.js";
import { failure, skeleton } from "./panel.js";

/**
 * @typedef {object} Plan
 * @property {string} plan
 * @property {string} expires
 * @property {number} freed_bytes
 * @property {number} kept_bytes
 * @property {number} tags
 * @property {number} images
 * @property {number} partials of downloads that were left off
 * @property {number} partial_bytes
 * @property {Array<{ name: string, tags: string[], digest: string | null, unused_days: number | null, size_bytes: number, frees_bytes: number, reason: string, shared_with: string[], whole: boolean }>} items whole: it goes itself, not only layers of it
 * @property {string | null} next
 * @property {Array<{ name: string, reference: string, why: string }>} skipped
 * @property {number} skipped_more
 * @property {string[]} also_lost_tags
 */

/** Rows that are shown of each kind. */
const SHOWN = 100;

export class PlanRun {
  /**
   * @param {Record<string, unknown>} request of POST plans
   * @param {{ title: (plan: Plan) => import("./basics.js").Content, note?: string, done?: () => void, closed?: () => void }} words done: it was removed; closed: that was read, too
   */
  constructor(request, words) {
    this.request = request;
    this.words = words;
    /** @type {Plan | null} */
    this.plan = null;
    /** @type {Problem | null} */
    this.problem = null;
    this.isChanged = false;
    /** @type {string | null} */
    this.job = null;
    this.isBusy = false;
  }

  async make() {
    this.problem = this.plan = null;
    paint();
    await this.attempt(async () => {
      this.plan = await post("plans", this.request);
    });
  }

  /** Do what is shown. */
  async run() {
    const plan = this.plan;
    if (!plan || this.isBusy) return;
    this.isBusy = true;
    await this.attempt(async () => {
      const { job } = await post("plans/run", { plan: plan.plan });
      this.job = job;
      paint();
      await followJob(job);
      this.words.done?.();
    });
    this.isBusy = false;
    paint();
  }

  /** Whether all of it was removed, however that was told. */
  get isDone() {
    return this.job !== null && jobOf(this.job)?.state === "done";
  }

  /** @param {() => Promise<void>} work */
  async attempt(work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === "PLAN_CHANGED") this.shownAgain(error.params.plan);
      else if (error.code === "PLAN_EXPIRED" && this.plan) await this.make();
      else this.problem = error;
    }
    paint();
  }

  /** More would go than was shown. @param {Plan} plan */
  shownAgain(plan) {
    this.plan = plan;
    this.isChanged = true;
  }

  view() {
    const { plan, problem, job } = this;
    if (problem) return this.frame(t("plan.impossible"), failure(problem), closing());
    if (!plan) return this.frame(t("plan.making"), skeleton(4), closing());
    if (job) return this.running(job);
    const run = button({ label: t("plan.run"), icon: "trash", classes: "dangerp", isDisabled: this.isBusy || !removes(plan), run: () => this.run() });
    return this.frame(this.words.title(plan), html`${this.isChanged ? html`<div class="note">${icon("warn")}<span>${t("plan.changed")}</span></div>` : nothing}${planSums(plan)}${planRows(plan)}<p class="t2">${this.words.note ?? t("plan.note")}</p>`, html`${closing(t("plan.keep"))}${run}`);
  }

  /** @param {string} id */
  running(id) {
    const job = jobOf(id);
    const skipped = job?.result?.skipped ?? [];
    return this.frame(job?.state === "done" ? t("plan.done", { size: size(job.done_bytes) }) : t("plan.running"), html`${job ? jobProgress(job) : skeleton(1)}${skipped.length ? html`<ul class="plan">${skipped.map(skippedRow)}</ul>` : nothing}`, closing(t("close")));
  }

  /** @param {import("./basics.js").Content} title @param {import("./basics.js").Content} content @param {import("./basics.js").Content} buttons */
  frame(title, content, buttons) {
    return dialogFrame({ title, content, buttons });
  }
}

/** @param {string} [label] */
function closing(label = t("cancel")) {
  return html`<button class="btn" type="button" autofocus @click=${closeDialog}>${label}</button>`;
}

/** Plan something, show it, and run it if wanted. @param {Record<string, unknown>} request @param {PlanRun["words"]} words */
export function openPlan(request, words) {
  const run = new PlanRun(request, words), here = location.hash;
  const closed = () => run.isDone && location.hash === here && words.closed?.();
  openDialog({ label: t("plan.label"), view: () => run.view(), closed });
  run.make();
}

/** Whether something goes: images, layers of them, or what belongs to none and has no row. @param {Plan} plan */
export function removes(plan) {
  return plan.items.length > 0 || plan.freed_bytes > 0;
}

/** How many images go that are not among the first rows. @param {Plan} plan @param {number} shown */
export function hiddenOf(plan, shown) {
  return plan.images - plan.items.slice(0, shown).filter((each) => each.whole).length;
}

/** What goes and what stays. @param {Plan} plan */
export function planSums(plan) {
  const parts = plan.items.filter((each) => !each.whole).length;
  return html`<div class="sum"><div><b>${bigSize(plan.freed_bytes)}</b><span>${t("plan.freed")}</span></div>
    ${plan.kept_bytes ? html`<div><b>${bigSize(plan.kept_bytes)}</b><span>${t("plan.kept")}</span></div>` : nothing}
    <div><b>${plan.images}</b><span>${t("plan.images", { n: plan.images, tags: t("plan.tags", { n: plan.tags }) })}</span></div>
    ${parts ? html`<div><b>${parts}</b><span>${t("plan.parts", { n: parts })}</span></div>` : nothing}
    ${plan.partials ? html`<div><b>${plan.partials}</b><span>${t("plan.partials", { n: plan.partials, size: size(plan.partial_bytes) })}</span></div>` : nothing}</div>`;
}

/** @param {Plan} plan */
export function planRows(plan) {
  const hidden = hiddenOf(plan, SHOWN), staying = Math.max(0, plan.skipped.length - SHOWN) + plan.skipped_more;
  return html`<ul class="plan" tabindex="0" aria-label=${t("plan.label")}>${plan.skipped.slice(0, SHOWN).map(skippedRow)}${staying ? html`<li class="t2">${t("plan.skipped.more", { n: staying })}</li>` : nothing}${plan.items.slice(0, SHOWN).map(itemRow)}
    ${hidden > 0 ? html`<li class="t2">${t("plan.more", { n: hidden })}</li>` : nothing}</ul>
    ${plan.also_lost_tags.length ? html`<p class="small warn">${icon("warn")} ${t("plan.also")} ${few("also lost", plan.also_lost_tags, (each) => hostile(each))}</p>` : nothing}`;
}

/** @param {Plan["items"][number]} item */
function itemRow({ name, tags, digest, unused_days: days, size_bytes: whole, frees_bytes: frees, shared_with: others, whole: goes }) {
  const called = few(`called ${name} ${digest}`, tags.length ? tags : [shortReference(digest ?? "")], (each) => hostile(each));
  const used = days === null ? t("plan.never") : days === 0 ? t("plan.today") : t("plan.unused", { n: days });
  return html`<li><span>${name ? repositoryName(name) : t("plan.nameless")} <span class="t3">${called}</span></span><span class="num">${size(frees)}</span>
    <small>${goes ? nothing : html`<b class="t2">${t("plan.part")}</b> · `}${used}${goes && whole > frees ? html` · ${t("plan.stays", { size: size(whole - frees) })}` : nothing}${others.length ? html` · ${t("plan.shared")} ${few(`shared ${name} ${digest}`, others, (each) => hostile(each))}` : nothing}</small></li>`;
}

/** @param {Plan["skipped"][number]} item */
function skippedRow({ name, reference, why }) {
  return html`<li><span>${name ? repositoryName(name) : nothing} <span class="t3" title=${plain(reference)}>${hostile(shortReference(reference))}</span></span><span class="num">–</span>
    <small class="warn">${icon(why === "pinned" ? "pin" : "clock")} ${t(`plan.skipped.${why}`)}</small></li>`;
}
