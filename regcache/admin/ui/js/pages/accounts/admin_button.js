/** What administrators alone may do to accounts. */
import { shared } from "../../core/session.js";
import { button, lockedButton } from "../../widgets/basics.js";

/** Whether accounts are the caller's to see and change. */
export function isAdmin() {
  return shared.session?.role === "admin";
}

/** A button for them; to others it says how to get the rights. @param {import("../../widgets/basics.js").ButtonOptions} options */
export function adminButton(options) {
  return isAdmin() ? button(options) : lockedButton(options.label);
}
