/** Dialogs that change an account: fields, one call, and what came of it. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { post, Problem } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { announce } from "../../widgets/basics.js";
import { closeDialog, dialogFrame, openDialog } from "../../widgets/dialog.js";
import { failure } from "../../widgets/panel.js";
import { SentForm } from "../../widgets/sent_form.js";
import { shownOnce } from "./made.js";

/** @typedef {import("../../widgets/basics.js").Content} Content */
/** @typedef {import("./shapes.js").Made} Made */

/**
 * @typedef {object} Change
 * @property {string} title
 * @property {(problem: Problem | null) => Content} content the fields, or what is asked
 * @property {string} run what the button says
 * @property {string} call
 * @property {(form: FormData) => Record<string, unknown> | null} body null if there is nothing to do
 * @property {() => string | null} [version] of what is changed
 * @property {() => Promise<void>} [reload] looks at it again, where it has another version
 * @property {(made: Made) => string | null} secret what is shown once; null for nothing
 * @property {(made: Made) => string} told
 * @property {boolean} [isDanger]
 * @property {() => void} done
 */

class ChangeDialog extends SentForm {
  /** @param {Change} change */
  constructor(change) {
    super();
    this.change = change;
    /** @type {Made | null} */
    this.made = null;
  }

  /** @override @param {FormData} form */
  async send(form) {
    const { call, body, version, done, secret, told } = this.change;
    const wanted = body(form);
    if (!wanted) return closeDialog();
    const made = await post(call, wanted, version?.());
    if (secret(made) === null) closeDialog();
    else this.made = made;
    announce(told(made));
    done();
  }

  /** @override @param {unknown} error @returns {Promise<void>} */
  async fail(error) {
    await super.fail(error);
    const { reload } = this.change;
    if (error instanceof Problem && error.code === "CHANGED" && reload) await reload().catch((later) => this.fail(later));
    requestAnimationFrame(() => document.querySelector("dialog .failed")?.scrollIntoView({ block: "nearest" }));
  }

  view() {
    const { secret, told } = this.change;
    return this.made ? shownOnce(this.made, told(this.made), secret(this.made) ?? "") : this.asking();
  }

  asking() {
    const { title, content, run, isDanger } = this.change;
    return html`<form @submit=${(/** @type {SubmitEvent} */ event) => this.submit(event)}>${dialogFrame({
      title,
      content: html`${this.problem ? failure(this.problem) : nothing}${content(this.problem)}`,
      buttons: html`<button class="btn" type="button" autofocus @click=${closeDialog}>${t("cancel")}</button><button class=${`btn ${isDanger ? "dangerp" : "p"}`} type="submit" ?disabled=${this.isRunning}>${run}</button>`,
    })}</form>`;
  }
}

/** What was made is not lost by Esc. @param {Change} change */
export function openChange(change) {
  const dialog = new ChangeDialog(change);
  openDialog({ label: change.title, view: () => dialog.view(), canClose: () => !dialog.isRunning && !dialog.made });
}

/** The values of fields that are filled in. @param {FormData} form @param {string[]} names @returns {Record<string, string>} */
export function filled(form, names) {
  const values = names.map((name) => [name, String(form.get(name) ?? "").trim()]);
  return Object.fromEntries(values.filter(([, value]) => value !== ""));
}

/** @param {string} name @param {() => void} done */
export function openEnd(name, done) {
  openChange({
    title: t("accounts.end.ask", { name }),
    content: () => html`<p>${t("accounts.end.means")}</p><p class="small t2">${t("accounts.end.back")} <code>regcachectl seat change ${name} --reopen</code></p>`,
    run: t("accounts.end.run"),
    isDanger: true,
    call: "seats/end",
    body: () => ({ name }),
    secret: () => null,
    told: () => t("accounts.end.done", { name }),
    done,
  });
}

/** @param {string} name @param {() => void} done */
export function openNewKey(name, done) {
  openChange({
    title: t("accounts.key.ask", { name }),
    content: () => html`<p class="small t2">${t("accounts.key.means")}</p>
      <label class="small t2">${t("accounts.key.name")}<input class="w100" name="key_name" maxlength="100" autocomplete="off"></label>
      <label class="small t2">${t("accounts.until.field")}<input class="w100" type="date" name="key_until"></label>`,
    run: t("accounts.key.run"),
    call: "seats/key",
    body: (form) => ({ name, ...filled(form, ["key_name", "key_until"]) }),
    secret: (made) => made.key,
    told: () => t("accounts.key.done", { name }),
    done,
  });
}
