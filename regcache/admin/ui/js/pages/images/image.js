/** One image: which platforms are complete, and what frees it? */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get, post, Problem } from "../../core/api.js";
import { size } from "../../core/format.js";
import { hostile, plain } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { paint } from "../../core/painting.js";
import { Resource } from "../../core/resource.js";
import { go, link } from "../../core/router.js";
import { rarely } from "../../core/timer.js";
import { actionButton, icon } from "../../widgets/basics.js";
import { failure, skeleton, whenThere } from "../../widgets/panel.js";
import { openPlan } from "../../widgets/plan_dialog.js";
import { openPull } from "../../widgets/pull_dialog.js";
import { configurationPanel } from "./configuration.js";
import { factsPanel } from "./facts.js";
import { layersPanel } from "./layers.js";
import { notHere, sweptNote } from "./not_here.js";
import { isPartly, platformsPanel } from "./platforms_panel.js";
import { concerns, crumb } from "./repository.js";

/** @typedef {import("./shapes.js").Image} Image */
/** @typedef {import("./shapes.js").Platform} Platform */
/** @typedef {import("./shapes.js").PlatformDetails} PlatformDetails */

const CHANGED_MS = 2000;
/** Platforms that the sentence names. */
const TOLD = 6;

/** @param {string} name @param {string} reference @returns {import("../pages.js").Page} */
export function imagePage(name, reference) {
  const page = new ImagePage(name, reference);
  const again = rarely(CHANGED_MS, () => page.refresh());
  page.refresh();
  return {
    title: () => plain(page.whole),
    view: () => page.view(),
    on: { changed: ({ repositories }) => concerns(repositories, name) && again() },
    refresh: () => page.refresh(),
    close: () => page.close(),
  };
}

class ImagePage {
  /** @param {string} name @param {string} reference */
  constructor(name, reference) {
    this.name = name;
    this.reference = reference;
    this.whole = `${name}${reference.includes(":") ? "@" : ":"}${reference}`;
    /** @type {Resource<Image>} */
    this.image = new Resource(() => this.loadImage());
    /** @type {Resource<PlatformDetails>} */
    this.details = new Resource(() => get("image/platform", { name, digest: this.chosen }));
    /** @type {string | null} digest of the platform whose layers are shown */
    this.chosen = null;
    /** @type {Problem | null} of what was done last */
    this.problem = null;
  }

  /** @returns {Promise<Image>} */
  async loadImage() {
    const { name, reference } = this;
    /** @type {Image} */
    const image = await get("image", { name, reference });
    this.choose(image.platforms.find((each) => each.digest === this.chosen) ?? firstHere(image.platforms));
    return image;
  }

  refresh() {
    this.image.refresh();
  }

  close() {
    this.image.close();
    this.details.close();
  }

  /** @param {Platform | undefined} platform */
  choose(platform) {
    const digest = platform?.digest ?? null;
    if (digest !== this.chosen) this.details.value = this.details.problem = null;
    this.chosen = digest;
    if (digest) this.details.refresh();
    paint();
  }

  view() {
    const { image } = this;
    if (["NOT_CACHED", "UNKNOWN_UPSTREAM", "INVALID"].includes(image.problem?.code ?? "")) return notHere(this.name, this.reference, image.problem?.params.gone, () => this.refresh());
    if (!image.value) return html`${this.head(null)}<section class="panel">${image.problem ? failure(image.problem, () => image.refresh()) : skeleton(6)}</section>`;
    const found = image.value, chosen = found.platforms.find((each) => each.digest === this.chosen);
    return html`${this.head(found)}${sweptNote(found, () => openPull(this.whole, [], () => this.refresh()))}${image.problem ? failure(image.problem, () => image.refresh()) : nothing}
      <div class="grid">${platformsPanel(found, this.chosen, (each) => this.choose(each))}${factsPanel(found)}
      ${chosen ? whenThere(this.details, (details) => html`${layersPanel(details.steps, chosen)}${configurationPanel(details)}`, 4) : nothing}</div>`;
  }

  /** @param {Image | null} image */
  head(image) {
    const last = this.name.split("/").pop() ?? "";
    return html`<div class="head">${crumb(this.name, true)}<h1 tabindex="-1">${hostile(last)}<span class="t3">${this.reference.includes(":") ? "@" : ":"}</span>${hostile(this.reference)}</h1>
      ${image?.pinned ? html`<span class="tag a">${icon("pin")} ${image.pinned.by ? t("pinned.by", { name: plain(image.pinned.by) }) : t("images.pinned")}</span>` : nothing}<span class="sp"></span>
      ${image ? this.actions(image) : nothing}${image ? html`<p>${summary(image.platforms)}</p>` : nothing}</div>
      ${this.problem ? failure(this.problem) : nothing}`;
  }

  /** @param {Image} image */
  actions(image) {
    const partly = image.platforms.filter(isPartly);
    const pin = image.pinned ? { label: t("unpin"), run: () => this.change("unpin") } : { label: t("pin"), run: () => this.change("pin") };
    return html`${actionButton("pin", { ...pin, icon: "pin" })}
      ${partly.slice(0, 2).map((each) => actionButton("pull", { label: t("complete", { platform: plain(each.platform ?? "") }), icon: "transfers", run: () => openPull(this.whole, [each.platform ?? ""], () => this.refresh()) }))}
      ${actionButton("delete", { label: t("delete"), icon: "trash", classes: "danger", run: () => this.remove() })}`;
  }

  /** @param {"pin" | "unpin"} what */
  async change(what) {
    const { name, reference } = this;
    this.problem = null;
    try {
      const { changed } = await post(what, { targets: [{ name, reference }] });
      if (!changed && what === "unpin") this.problem = new Problem(409, { code: "PINNED_OTHERWISE", detail: t("unpin.otherwise") });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    }
    this.refresh();
  }

  remove() {
    const { name, reference } = this;
    openPlan({ action: "delete", targets: [{ name, reference }] }, { title: () => t("delete.one", { name: plain(this.whole) }), closed: () => go(link("images", name)) });
  }
}

/** The platform that is shown first. @param {Platform[]} platforms */
function firstHere(platforms) {
  return platforms.find((each) => each.complete) ?? platforms.find((each) => each.manifest_here);
}

/** Which platforms are complete, partly here, and not. @param {Platform[]} platforms */
function summary(platforms) {
  const whole = platforms.filter((each) => each.complete), partly = platforms.filter(isPartly);
  const absent = platforms.length - whole.length - partly.length;
  const names = (/** @type {Platform[]} */ some) => some.slice(0, TOLD).map((each) => plain(each.platform ?? t("platform.unknown"))).join(", ") + (some.length > TOLD ? ` ${t("few.more", { n: some.length - TOLD })}` : "");
  const parts = [
    whole.length ? t("summary.whole", { platforms: names(whole) }) : t("summary.none"),
    ...partly.slice(0, TOLD).map((each) => t(each.layers === null ? "summary.part.unknown" : "summary.part", { platform: names([each]), n: each.layers_here, layers: each.layers ?? "", here: size(each.here_bytes), all: size(each.all_bytes) })),
    partly.length > TOLD ? t("summary.parts", { n: partly.length - TOLD }) : "",
    absent ? t("summary.absent", { n: absent }) : "",
  ];
  return parts.filter(Boolean).join(" ");
}
