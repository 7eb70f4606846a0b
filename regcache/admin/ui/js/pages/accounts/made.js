/** Secrets that were made just now: they are shown once, to be copied or printed. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { button, icon } from "../../widgets/basics.js";
import { copyButton } from "../../widgets/copying.js";
import { closeDialog, dialogFrame } from "../../widgets/dialog.js";

/** All lines, however many: it is to be printed. The focus begins on the text: a button that closes would lose it. @param {import("./shapes.js").Made} made @param {string} title @param {string} text what is shown */
export function shownOnce({ warnings }, title, text) {
  return dialogFrame({
    title,
    content: html`<div class="note">${icon("warn")}<span>${t("accounts.once")}</span></div>
      ${warnings.map((each) => html`<p class="small warn">${icon("warn")} ${hostile(each)}</p>`)}
      <div class="code made"><div class="cap">${t("accounts.once.text")}<span class="sp"></span>${copyButton(text)}</div><pre tabindex="0" autofocus>${text.split("\n").map((line, i) => html`${i ? "\n" : nothing}${hostile(line)}`)}</pre></div>`,
    buttons: html`${text.includes("\n") ? button({ label: t("accounts.print"), run: () => print() }) : nothing}<button class="btn p" type="button" @click=${closeDialog}>${t("accounts.once.done")}</button>`,
  });
}
