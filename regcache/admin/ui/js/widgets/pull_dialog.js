/** Pulling an image into the cache before anybody asks for it: what, of which platforms, and how far it is. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { get, post, Problem } from "../core/api.js";
import { meantImage } from "../core/image_names.js";
import { t } from "../core/i18n.js";
import { paint } from "../core/painting.js";
import { icon } from "./basics.js";
import { closeDialog, dialogFrame, openDialog } from "./dialog.js";
import { cancelButton, followJob, hasEnded, jobOf, jobProgress } from "./job.js";
import { imageHref } from "./names.js";
import { failure, skeleton } from "./panel.js";

const USUAL = "linux/amd64", OFFERED = [USUAL, "linux/arm64"];

class PullDialog {
  /** @param {string} text @param {string[]} platforms @param {() => void} [done] */
  constructor(text, platforms, done) {
    this.text = text;
    this.platforms = new Set(platforms.length ? platforms : [USUAL]);
    this.offered = [...new Set([...OFFERED, ...platforms])];
    this.isAll = false;
    this.isPinned = false;
    this.done = done;
    /** @type {Problem | null} */
    this.problem = null;
    this.isUnclear = false;
    /** @type {string | null} */
    this.job = null;
    /** @type {{ name: string, reference: string } | null} */
    this.image = null;
  }

  async pull() {
    this.problem = null;
    this.isUnclear = false;
    try {
      const { items } = await get("upstreams");
      this.image = meantImage(this.text, items);
      this.isUnclear = !this.image;
      if (this.image) await this.begin(this.image);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    }
    paint();
  }

  /** @param {{ name: string, reference: string }} image */
  async begin({ name, reference }) {
    const platforms = this.isAll ? "all" : [...this.platforms];
    const { job } = await post("pull", { name, reference, platforms, pin: this.isPinned });
    this.job = job;
    paint();
    await followJob(job);
    this.done?.();
  }

  /** Ask once more, with what was typed. */
  again() {
    this.job = null;
    paint();
  }

  view() {
    return this.job ? this.running(this.job) : this.asking();
  }

  asking() {
    const isReady = this.text.trim() !== "" && (this.isAll || this.platforms.size > 0);
    return html`<form @submit=${(/** @type {SubmitEvent} */ event) => { event.preventDefault(); if (isReady) this.pull(); }}>${dialogFrame({
      title: t("pull.title"),
      content: html`${this.problem ? failure(this.problem) : nothing}
        <label class="small t2">${t("pull.name")}<input class="w100 mono" name="image" autocomplete="off" spellcheck="false" autocapitalize="none" placeholder="ghcr.io/org/app:1.2" autofocus
          aria-invalid=${this.isUnclear} .value=${this.text} @input=${(/** @type {any} */ event) => this.typed(event.target.value)}></label>
        ${this.isUnclear ? html`<p class="small bad" role="alert">${icon("bad")} ${t("pull.unclear")}</p>` : nothing}
        <fieldset class="small choices"><legend class="t2">${t("pull.platforms")}</legend>${this.offered.map((each) => this.choice(each, this.platforms.has(each), () => this.turn(each), this.isAll))}${this.choice(t("pull.all"), this.isAll, () => { this.isAll = !this.isAll; paint(); })}</fieldset>
        ${this.choice(t("pull.pin"), this.isPinned, () => { this.isPinned = !this.isPinned; paint(); })}
        <p class="t3 small">${t("pull.note")}</p>`,
      buttons: html`<button class="btn" type="button" @click=${closeDialog}>${t("cancel")}</button><button class="btn p" type="submit" ?disabled=${!isReady}>${icon("transfers")}${t("pull.run")}</button>`,
    })}</form>`;
  }

  /** @param {string} label @param {boolean} isOn @param {() => void} turn @param {boolean} [isDisabled] */
  choice(label, isOn, turn, isDisabled = false) {
    return html`<label class="small nw"><input type="checkbox" .checked=${isOn} ?disabled=${isDisabled} @change=${turn}> ${label}</label>`;
  }

  /** @param {string} text */
  typed(text) {
    this.text = text;
    this.isUnclear = false;
    paint();
  }

  /** @param {string} platform */
  turn(platform) {
    if (!this.platforms.delete(platform)) this.platforms.add(platform);
    paint();
  }

  /** @param {string} id */
  running(id) {
    const job = jobOf(id), { name, reference } = this.image ?? { name: "", reference: "" };
    const href = imageHref(name, reference);
    return dialogFrame({
      title: html`${name}:${reference}`,
      content: html`${this.problem ? failure(this.problem) : nothing}${job ? jobProgress(job) : skeleton(1)}<p class="t3 small">${hasEnded(job) ? nothing : t("pull.goes.on")}</p>`,
      buttons: html`${job ? cancelButton(job) : nothing}<button class="btn" type="button" autofocus @click=${closeDialog}>${t("close")}</button>
        ${job && hasEnded(job) && job.state !== "done" ? html`<button class="btn p" type="button" @click=${() => this.again()}>${t("again")}</button>` : nothing}
        ${job?.state === "done" && href ? html`<a class="btn p" href=${href} @click=${closeDialog}>${t("pull.show")}</a>` : nothing}`,
    });
  }
}

/** @param {string} [text] what is to be pulled @param {string[]} [platforms] @param {() => void} [done] */
export function openPull(text = "", platforms = [], done) {
  const dialog = new PullDialog(text, platforms, done);
  openDialog({ label: t("pull.title"), view: () => dialog.view() });
}

/** The button that opens it. @param {string} [label] @param {string} [text] */
export function pullButton(label = t("pull.title.short"), text = "") {
  return { label, icon: "transfers", run: () => openPull(text) };
}
