/**
 * One dialog over the page: a `<dialog>`, whose focus begins on the harmless button and goes back
 * to where it came from.
 */
import { html, render } from "../../vendor/lit-html/lit-html.js";

/** @typedef {{ label: string, view: () => import("./basics.js").Content, closed?: () => void, canClose?: () => boolean }} DialogModel */

/** @type {{ element: HTMLDialogElement, model: DialogModel, from: Element | null } | null} */
let shown = null;

/** Open one; another one is closed. `autofocus` stands on the harmless button. @param {DialogModel} model */
export function openDialog(model) {
  closeDialog();
  const element = document.createElement("dialog");
  element.setAttribute("aria-label", model.label);
  element.addEventListener("cancel", (event) => {
    event.preventDefault();
    if (model.canClose?.() ?? true) closeDialog();
  });
  document.body.append(element);
  shown = { element, model, from: document.activeElement };
  paintDialog();
  element.showModal();
}

/** Close it, if there is one. */
export function closeDialog() {
  if (!shown) return;
  const { element, model, from } = shown;
  shown = null;
  element.close();
  element.remove();
  if (from instanceof HTMLElement && from.isConnected) from.focus();
  model.closed?.();
}

/** Whether one is open. */
export function hasDialog() {
  return shown !== null;
}

/** Paint it anew, if there is one. What had the focus may be gone; then the harmless button has it. */
export function paintDialog() {
  if (!shown) return;
  const { element, model } = shown;
  render(html`${model.view()}`, element);
  if (element.open && !element.contains(document.activeElement)) focusHarmless(element);
}

/** @param {HTMLDialogElement} element */
function focusHarmless(element) {
  const found = element.querySelector("[autofocus]");
  if (found instanceof HTMLElement) found.focus();
}

/**
 * The usual frame: a question, what there is to it, and buttons.
 *
 * @param {{ title: import("./basics.js").Content, content: import("./basics.js").Content, buttons: import("./basics.js").Content }} options
 */
export function dialogFrame({ title, content, buttons }) {
  return html`<div class="frame"><header><h2>${title}</h2></header><div class="in">${content}</div><div class="do">${buttons}</div></div>`;
}
