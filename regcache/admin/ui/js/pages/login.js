/** Signing in: with an account, or with the link that `regcachectl ui` prints. */
import { html } from "../../vendor/lit-html/lit-html.js";
import { t } from "../core/i18n.js";
import { paint } from "../core/painting.js";
import { eraseHash, go } from "../core/router.js";
import { signIn, siteTitle } from "../core/session.js";
import { icon } from "../widgets/basics.js";
import { failure } from "../widgets/panel.js";
import { SignIn } from "../widgets/sign_in.js";

/** Where to go when signed in. */
const after = { hash: "#/" };

/** Come back to a place. @param {string} hash */
export function returnTo(hash) {
  after.hash = /^#\/(login|link)\b/.test(hash) ? "#/" : hash || "#/";
}

/** @returns {import("./pages.js").Page} */
export function loginPage() {
  const form = new SignIn(() => {
    if (location.hash !== after.hash) go(after.hash);
    else window.dispatchEvent(new HashChangeEvent("hashchange")); // the login stood in its place
  });
  return {
    title: () => t("sign.in"),
    view: () => html`<main class="login" id="main"><form class="sign" @submit=${(/** @type {SubmitEvent} */ event) => form.submit(event)}><h1 tabindex="-1">${t("sign.in.to", { title: siteTitle() })}</h1>
      ${form.fields()}
      <button class="btn p" type="submit" ?disabled=${form.isRunning}>${t("sign.in")}</button>
      <p class="small t2">${icon("info")} ${t("login.hint")}</p></form></main>`,
  };
}
/** A one-time link: the token is posted, and taken out of the address at once. @param {import("../core/router.js").Place} place @returns {import("./pages.js").Page} */
export function linkPage({ rest }) {
  /** @type {import("../core/api.js").Problem | null} */
  let problem = null;
  eraseHash();
  const use = async () => {
    try {
      await signIn({ link: rest });
      window.dispatchEvent(new HashChangeEvent("hashchange"));
    } catch (error) {
      problem = /** @type {import("../core/api.js").Problem} */ (error);
    }
    paint();
  };
  use();
  return {
    title: () => t("sign.in"),
    view: () => html`<main class="login" id="main"><form><h1 tabindex="-1">${t("sign.in")}</h1>${problem ? html`${failure(problem)}<p class="small t2">${t("login.hint")}</p><a class="btn" href="#/login">${t("sign.in")}</a>` : t("loading")}</form></main>`,
  };
}
