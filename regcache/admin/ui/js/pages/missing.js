/** A page that there is not. */
import { html } from "../../vendor/lit-html/lit-html.js";
import { t } from "../core/i18n.js";
import { empty, pageHead } from "../widgets/panel.js";

/** @returns {import("./pages.js").Page} */
export function missingPage() {
  return {
    title: () => t("missing.title"),
    view: () => html`${pageHead(t("missing.title"))}<section class="panel">${empty("search", t("missing.title"), t("missing.text"), html`<a class="btn p" href="#/">${t("nav.overview")}</a>`)}</section>`,
  };
}
