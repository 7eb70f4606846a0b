/** A form that is sent once at a time; what went wrong stays to be shown. */
import { Problem } from "../core/api.js";
import { paint } from "../core/painting.js";

export class SentForm {
  constructor() {
    this.isRunning = false;
    /** @type {Problem | null} */
    this.problem = null;
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    if (this.isRunning) return;
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    this.isRunning = true;
    this.problem = null;
    paint();
    await this.send(form).catch((error) => this.fail(error)).finally(() => (this.isRunning = false));
    paint();
  }

  /** Send it. @param {FormData} _form @returns {Promise<void>} */
  async send(_form) {
    throw new Error("each form says how it is sent");
  }

  /** @param {unknown} error @returns {Promise<void>} */
  async fail(error) {
    if (!(error instanceof Problem)) throw error;
    this.problem = error;
  }
}
