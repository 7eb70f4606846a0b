/** Storage: what can go, what is pinned? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get, Problem, post } from "../../core/api.js";
import { clock, count, size } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { paint } from "../../core/painting.js";
import { PagedResource, Resource } from "../../core/resource.js";
import { shared } from "../../core/session.js";
import { every } from "../../core/timer.js";
import { actionButton, bigSize } from "../../widgets/basics.js";
import { followJob, jobProgress } from "../../widgets/job.js";
import { meter } from "../../widgets/meter.js";
import { failure, pageHead, panel, whenThere } from "../../widgets/panel.js";
import { diskParts } from "../overview/disk.js";
import { pinsPanel } from "./pins.js";
import { Preview } from "./preview.js";
import { rulesPanel, upstreamsPanel } from "./rules.js";

/** @typedef {import("./shapes.js").Storage} Storage */

/** Milliseconds between two looks at sums, which follow what was pulled after a while. */
const LOOK_MS = 10_000;

/** @returns {import("../pages.js").Page} */
export function storagePage() {
  /** @type {Resource<Storage>} */
  const storage = new Resource(() => get("storage"));
  /** @type {PagedResource<import("./shapes.js").Pinned>} */
  const pins = new PagedResource((cursor) => get("pins", { cursor }));
  const refresh = () => [storage, pins].forEach((each) => each.refresh());
  const preview = new Preview(() => {
    refresh();
    preview.make();
  });
  const verification = new Verification(refresh);
  refresh();
  preview.make();
  const end = every(LOOK_MS, () => storage.refresh());
  return {
    title: () => t("nav.storage"),
    view: () => view({ storage, pins, preview, verification, refresh }),
    on: { changed: () => [storage.refresh(), pins.renew()] },
    refresh,
    close: () => {
      end();
      [storage, pins, preview.plan].forEach((each) => each.close());
    },
  };
}

/** @param {{ storage: Resource<Storage>, pins: PagedResource<any>, preview: Preview, verification: Verification, refresh: () => void }} parts */
function view({ storage, pins, preview, verification, refresh }) {
  const disk = shared.status?.disk ?? storage.value?.disk;
  const about = disk?.limit_bytes ? t("storage.about", { used: size(disk.used_bytes), limit: size(disk.limit_bytes) }) : t("storage.about.unknown");
  return html`${pageHead(t("nav.storage"), nothing, verification.button(), about)}${verification.view()}
    <div class="grid">${disk ? html`<section class="panel c12"><div class="in mt">${parts(disk)}</div></section>` : nothing}
    ${panel({ title: t("storage.upstreams"), classes: "c5", content: whenThere(storage, (found) => upstreamsPanel(found, preview), 5) })}
    ${panel({ title: t("storage.rules"), note: t("storage.rules.from"), classes: "c7", content: whenThere(storage, rulesPanel, 7) })}
    ${preview.view(storage.value)}
    ${panel({ title: t("storage.pins"), content: pinsPanel(pins, refresh) })}</div>`;
}

/** The parts of the disk as a bar and as figures. @param {import("../../core/shapes.js").Disk} disk */
function parts(disk) {
  const { pinned, recent, older, other, free } = diskParts(disk);
  const whole = disk.limit_bytes || Math.max(1, disk.used_bytes);
  const partial = disk.partial_bytes ?? 0, rest = Math.max(0, other - partial);
  /** @type {Array<[string, string, number, string]>} */
  const shown = [
    ["1", t("disk.pinned"), pinned, ""],
    ["2", t("disk.recent"), recent, ""],
    ["3", t("disk.older"), older + rest, disk.next_sweep ? t("storage.next", { time: clock(disk.next_sweep) }) : ""],
    ["g", t("storage.partial"), partial, ""],
  ];
  return html`${meter(shown.map(([colour, , bytes]) => [bytes / whole, `f${colour}`]), "thick")}
    <dl class="figs flush">${shown.map(([colour, title, bytes, note]) => html`<div class="fig"><dt><span class=${`sw sq ${colour === "g" ? "l0" : `d${colour}`}`}></span>${title}</dt><dd>${bigSize(bytes)}${note ? html`<small>${note}</small>` : nothing}</dd></div>`)}
    ${free === null ? nothing : html`<div class="fig"><dt><span class="sw sq d4"></span>${t("disk.free")}</dt><dd>${bigSize(free)}</dd></div>`}
    <div class="fig"><dt>${t("storage.blobs")}</dt><dd>${count(shared.status?.counts.blobs)}</dd></div></dl>`;
}

/** The verification of everything that was begun from this page. */
class Verification {
  /** @param {() => void} ended */
  constructor(ended) {
    this.ended = ended;
    /** @type {string | null} */
    this.job = null;
    /** @type {Problem | null} */
    this.problem = null;
  }

  button() {
    return actionButton("verify", { label: t("storage.verify"), icon: "check", title: t("storage.verify.title"), run: () => this.begin() });
  }

  async begin() {
    this.problem = null;
    try {
      const { job } = await post("verify");
      this.job = job;
      paint();
      await followJob(job, this.ended);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    }
    paint();
  }

  view() {
    const job = this.job ? shared.jobs.get(this.job) : undefined;
    if (this.problem) return failure(this.problem);
    return job ? html`<section class="panel alone" role="status"><div class="in mt">${jobProgress(job)}</div></section>` : nothing;
  }
}
