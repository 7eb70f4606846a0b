/**
 * The session has ended while a page is open: a dialog over it asks to sign in. The page stays,
 * with what was typed into it and how far it was scrolled.
 */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { t } from "../core/i18n.js";
import { shared } from "../core/session.js";
import { button, icon } from "../widgets/basics.js";
import { above, dialogFrame } from "../widgets/dialog.js";
import { SignIn } from "../widgets/sign_in.js";

/** @typedef {import("../core/session.js").Session} Session */

/**
 * @param {Session} now what is left without one
 * @param {{ signedIn: () => void, goOn: () => void }} then somebody signed in; or goes on with what is left
 */
export function askAgain(now, { signedIn, goOn }) {
  const account = shared.session?.account ?? "";
  const form = new SignIn(signedIn);
  above.open({ label: t("session.over"), canClose: () => false, view: () => view(form, account, now.role === "none" ? null : goOn) });
}

/** @param {SignIn} form @param {string} account @param {(() => void) | null} goOn */
function view(form, account, goOn) {
  return html`<form class="sign" @submit=${(/** @type {SubmitEvent} */ event) => form.submit(event)}>${dialogFrame({
    title: t("session.over"),
    content: html`<p class="t2">${t("session.over.text")}</p>${form.fields(account)}<p class="small t2">${icon("info")} ${t("login.hint")}</p>`,
    buttons: html`${goOn ? button({ label: t("session.over.read"), run: goOn }) : nothing}<button class="btn p" type="submit" ?disabled=${form.isRunning}>${t("sign.in")}</button>`,
  })}</form>`;
}
