/**
 * Dialogs over the page: each is a `<dialog>`, whose focus begins on the harmless button and goes
 * back to where it came from. There is one of the page's own, and one above it.
 */
import { html, render } from "../../vendor/lit-html/lit-html.js";

/** @typedef {{ label: string, view: () => import("./basics.js").Content, closed?: () => void, canClose?: () => boolean }} DialogModel */

/** Where one dialog can be. */
class DialogPlace {
  constructor() {
    /** @type {{ element: HTMLDialogElement, model: DialogModel, from: Element | null } | null} */
    this.shown = null;
  }

  /** Open one; another one here is closed. @param {DialogModel} model */
  open(model) {
    this.close();
    const element = document.createElement("dialog");
    element.setAttribute("aria-label", model.label);
    element.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (model.canClose?.() ?? true) this.close();
    });
    element.append(spokenPlace());
    document.body.append(element);
    this.shown = { element, model, from: document.activeElement };
    this.paint();
    element.showModal();
  }

  /** Close it, if there is one. */
  close() {
    if (!this.shown) return;
    const { element, model, from } = this.shown;
    this.shown = null;
    element.close();
    element.remove();
    if (from instanceof HTMLElement && from.isConnected) from.focus();
    model.closed?.();
  }

  /** Paint it anew, if there is one. What had the focus may be gone; then the harmless button has it. */
  paint() {
    if (!this.shown) return;
    const { element, model } = this.shown;
    render(html`${model.view()}`, element);
    if (element.open && !element.contains(document.activeElement)) focusHarmless(element);
  }
}

const ofPage = new DialogPlace();
/** For what concerns all pages; the page's own dialog stays below it. */
export const above = new DialogPlace();

/** Open one; another one is closed. `autofocus` stands on the harmless button. @param {DialogModel} model */
export function openDialog(model) {
  ofPage.open(model);
}

/** Close it, if there is one. */
export function closeDialog() {
  ofPage.close();
}

/** Paint all that there are. */
export function paintDialogs() {
  ofPage.paint();
  above.paint();
}

/** Where what is announced is put. */
function spokenPlace() {
  const place = document.createElement("div");
  place.className = "sr announced";
  place.setAttribute("role", "status");
  return place;
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
