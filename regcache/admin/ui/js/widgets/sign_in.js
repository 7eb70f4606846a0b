/** The fields by which somebody signs in: on a page of its own, and where a session has ended. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { Problem } from "../core/api.js";
import { t } from "../core/i18n.js";
import { paint } from "../core/painting.js";
import { signIn } from "../core/session.js";
import { icon } from "./basics.js";
import { failure } from "./panel.js";

export class SignIn {
  /** @param {() => void} done what follows */
  constructor(done) {
    this.done = done;
    /** @type {Problem | null} */
    this.problem = null;
    this.isRunning = false;
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    if (this.isRunning) return;
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    this.isRunning = true;
    this.problem = null;
    paint();
    try {
      await signIn({ account: String(form.get("account")), password: String(form.get("password")) });
      this.done();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    } finally {
      this.isRunning = false;
      paint();
    }
  }

  /** @param {string} [account] whose session it was */
  fields(account = "") {
    return html`${this.problem ? wrong(this.problem) : nothing}
      <label>${t("login.account")}<input name="account" autocomplete="username" required autocapitalize="none" spellcheck="false" value=${account} ?autofocus=${account === ""}></label>
      <label>${t("login.password")}<input name="password" type="password" autocomplete="current-password" required ?autofocus=${account !== ""}></label>`;
  }
}

/** @param {Problem} problem */
function wrong(problem) {
  if (problem.code !== "UNAUTHENTICATED") return failure(problem);
  return html`<p class="small bad" role="alert">${icon("bad")} ${t("login.wrong")}</p>`;
}
