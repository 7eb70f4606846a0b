/** A new account: who, how much, until when, and by what it is known. */
import { html } from "../../../vendor/lit-html/lit-html.js";
import { t } from "../../core/i18n.js";
import { filled, openChange } from "./changes.js";

/** What can be made: the word of the API, and whether it usually is. @type {Array<[string, boolean]>} */
const IDENTITIES = [
  ["password", true],
  ["key", false],
  ["certificate", false],
  ["host", false],
  ["link", false],
];

/** @param {() => void} done */
export function openCreation(done) {
  openChange({
    title: t("accounts.new"),
    content: fields,
    run: t("accounts.new.run"),
    call: "seats",
    body: (form) => ({ ...filled(form, ["name", "daily", "monthly", "until", "note"]), make: form.getAll("make").map(String), new: true }),
    secret: (made) => made.page,
    told: (made) => t("accounts.new.done", { name: made.seat.name }),
    done,
  });
}

function fields() {
  return html`<label class="small t2">${t("accounts.account")}<input class="w100" name="name" required maxlength="255" autocomplete="off" autocapitalize="none" spellcheck="false"></label>
    <div class="pair"><label class="small t2">${t("accounts.daily")}<input class="w100" name="daily" autocomplete="off" placeholder="20GiB"></label>
      <label class="small t2">${t("accounts.monthly")}<input class="w100" name="monthly" autocomplete="off" placeholder="200GiB"></label></div>
    <div class="pair"><label class="small t2">${t("accounts.until.field")}<input class="w100" type="date" name="until"></label>
      <label class="small t2">${t("accounts.note")}<input class="w100" name="note" maxlength="1000" autocomplete="off"></label></div>
    <fieldset class="small choices"><legend class="t2">${t("accounts.known")}</legend>${IDENTITIES.map(([what, isUsual]) => html`<label class="small nw"><input type="checkbox" name="make" value=${what} ?checked=${isUsual}> ${t(`accounts.make.${what}`)}</label>`)}</fieldset>
    <p class="small t3">${t("accounts.make.hint")}</p>`;
}
