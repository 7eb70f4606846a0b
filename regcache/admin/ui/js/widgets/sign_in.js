/** The fields by which somebody signs in: on a page of its own, and where a session has ended. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { t } from "../core/i18n.js";
import { signIn } from "../core/session.js";
import { icon } from "./basics.js";
import { failure } from "./panel.js";
import { SentForm } from "./sent_form.js";

/** @typedef {import("../core/api.js").Problem} Problem */

export class SignIn extends SentForm {
  /** @param {() => void} done what follows */
  constructor(done) {
    super();
    this.done = done;
  }

  /** @override @param {FormData} form */
  async send(form) {
    await signIn({ account: String(form.get("account")), password: String(form.get("password")) });
    this.done();
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
