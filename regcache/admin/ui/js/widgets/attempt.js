/** Work of which nothing on the page says that it failed: a dialog says why. */
import { html } from "../../vendor/lit-html/lit-html.js";
import { Problem } from "../core/api.js";
import { t } from "../core/i18n.js";
import { closeDialog, dialogFrame, openDialog } from "./dialog.js";
import { failure } from "./panel.js";

/** Do it. @param {() => Promise<void>} work */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    tell(error);
  }
}

/** @param {Problem} problem */
function tell(problem) {
  const label = t("attempt.failed");
  const close = html`<button class="btn" type="button" autofocus @click=${closeDialog}>${t("close")}</button>`;
  openDialog({ label, view: () => dialogFrame({ title: label, content: failure(problem), buttons: close }) });
}
