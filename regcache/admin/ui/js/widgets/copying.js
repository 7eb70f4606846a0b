/**
 * Buttons that copy a text, and say beside them what came of it.
 *
 * Without TLS browsers give a page no clipboard (secure contexts). Then the text that is shown is
 * selected, and copied the former way; where that is refused it stays selected, for the keyboard.
 */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { t } from "../core/i18n.js";
import { paint } from "../core/painting.js";
import { button } from "./basics.js";

/** Milliseconds for which it is said. */
const SAID_MS = 5000;
/** What came of the last one. @type {{ text: string | null, outcome: "copied" | "selected" | "failed" }} */
const last = { text: null, outcome: "copied" };
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Stands in an element of class `code` or `cp`, beside what shows the text. @param {string} text @param {string} [label] */
export function copyButton(text, label = t("copy")) {
  const outcome = text === last.text ? last.outcome : null;
  const run = (/** @type {Event} */ event) => copy(text, /** @type {HTMLElement} */ (event.currentTarget).closest(".code, .cp"));
  return html`<span class="copy">${button({ label, icon: outcome === "copied" ? "check" : "copy", classes: "q", isIcon: true, run })}<span class="copied" role="status">${outcome ? t(`copy.${outcome}`) : nothing}</span></span>`;
}

/** @param {string} text @param {Element | null} place */
async function copy(text, place) {
  say(text, (await isTaken(text)) ? "copied" : copySelected(text, place));
}

/** Give it to the clipboard. @param {string} text @returns {Promise<boolean>} */
async function isTaken(text) {
  if (!navigator.clipboard) return false;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // the browser, or somebody who was asked, refuses
  }
}

/** @param {string} text @param {Element | null} place @returns {"copied" | "selected" | "failed"} */
function copySelected(text, place) {
  const shown = place?.querySelector("pre") ?? place?.querySelector("code"); // a caption has some as well
  if (!shown) return "failed";
  getSelection()?.selectAllChildren(shown);
  let isCopied = false;
  const give = (/** @type {ClipboardEvent} */ event) => {
    event.preventDefault();
    event.clipboardData?.setData("text/plain", text); // what is shown may have escapes in it
    isCopied = event.clipboardData !== null;
  };
  document.addEventListener("copy", give, { once: true });
  const isDone = document.execCommand("copy");
  document.removeEventListener("copy", give);
  return isDone && isCopied ? "copied" : "selected";
}

/** @param {string} text @param {typeof last.outcome} outcome */
function say(text, outcome) {
  Object.assign(last, { text, outcome });
  clearTimeout(timer);
  timer = setTimeout(() => {
    last.text = null;
    paint();
  }, SAID_MS);
  paint();
}
