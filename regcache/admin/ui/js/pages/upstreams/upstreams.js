/** Upstreams: who is ill, what limit is left? Looking asks none of them; Test does, once. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { repeat } from "../../../vendor/lit-html/directives/repeat.js";
import { get, Problem, post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { paint } from "../../core/painting.js";
import { Resource } from "../../core/resource.js";
import { followJob } from "../../widgets/job.js";
import { pageHead, panel, whenThere } from "../../widgets/panel.js";
import { takeUpstream } from "../../widgets/upstream_state.js";
import { upstreamPanel } from "./card.js";

/** @typedef {import("../../core/shapes.js").Upstream} Upstream */

/** @returns {import("../pages.js").Page} */
export function upstreamsPage() {
  const tests = new Tests();
  /** @type {Resource<Upstream[]>} */
  const upstreams = new Resource(async () => (await get("upstreams")).items);
  upstreams.refresh();
  return {
    title: () => t("nav.upstreams"),
    view: () => view(upstreams, tests),
    on: { upstream: (changed) => takeUpstream(upstreams, changed) },
    refresh: () => upstreams.refresh(),
    close: () => upstreams.close(),
  };
}

/** @param {Resource<Upstream[]>} upstreams @param {Tests} tests */
function view(upstreams, tests) {
  const cards = (/** @type {Upstream[]} */ items) =>
    html`<div class="grid">${repeat(items, (each) => each.name, (each) => upstreamPanel(each, tests))}</div>`;
  const content = upstreams.value ? whenThere(upstreams, cards) : panel({ title: t("nav.upstreams"), content: whenThere(upstreams, cards, 6) });
  return html`${pageHead(t("nav.upstreams"), nothing, nothing, t("upstreams.about"))}${content}`;
}

/** The tests that were begun from this page: the job of each upstream, or why it could not begin. */
export class Tests {
  constructor() {
    /** @type {Map<string, string>} ids of jobs by the name of the upstream */
    this.jobs = new Map();
    /** @type {Map<string, Problem>} */
    this.problems = new Map();
  }

  /** Ask an upstream whether it can be reached. @param {string} name */
  async begin(name) {
    this.problems.delete(name);
    try {
      const { job } = await post("upstreams/test", { name });
      this.jobs.set(name, job);
      paint();
      await followJob(job);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problems.set(name, error);
    }
    paint();
  }
}
