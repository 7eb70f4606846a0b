/** What an account may use, how much of it is used, and by what it is known. */
import { html } from "../../../vendor/lit-html/lit-html.js";
import { calendarDay, size } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { icon, since } from "../../widgets/basics.js";
import { meter } from "../../widgets/meter.js";

/** @typedef {import("./shapes.js").Seat} Seat */

/** Share of a quota from which on it deserves a look. */
const MUCH = 0.9;

/** Used of a quota as figures, and as a bar where there is a quota. @param {Seat} seat @param {"daily" | "monthly"} period */
export function quota(seat, period) {
  const used = seat.used[`${period}_bytes`] ?? 0, most = seat[period];
  if (most == null) return html`<span class="nw">${size(used)}</span><span class="sub">${t("accounts.no.quota")}</span>`;
  const share = most ? used / most : 1;
  const colour = share >= 1 ? "fb" : share >= MUCH ? "fw" : "f1";
  return html`<span class="nw">${t("accounts.used.of", { used: size(used), most: size(most) })}</span>${meter([[share, colour]], "thin")}${share >= 1 ? html`<span class="sub bad">${icon("bad")} ${t("accounts.used.up")}</span>` : ""}`;
}

/** Until when it is good, or since when no longer. @param {Seat} seat */
export function validity({ until, ended, has_ended: hasEnded }) {
  if (ended) return html`<span class="tag w">${t("accounts.ended")}</span> ${since(ended)}`;
  if (!until) return html`<span class="t3">${t("accounts.no.end")}</span>`;
  return hasEnded ? html`<span class="tag w">${t("accounts.ended")}</span> <span class="nw">${calendarDay(until)}</span>` : html`<span class="nw">${calendarDay(until)}</span>`;
}

/** By what it is known, as words. @param {Seat} seat @returns {string} */
export function identities({ password, keys, certificates, host, knock }) {
  const found = [
    password ? t("accounts.by.password") : "",
    keys.length ? t("accounts.by.keys", { n: keys.length }) : "",
    certificates.length ? t("accounts.by.certificates", { n: certificates.length }) : "",
    host ? t("accounts.by.host") : "",
    knock ? t("accounts.by.link") : "",
  ].filter(Boolean);
  return found.length ? found.join(t("accounts.by.comma")) : t("accounts.by.none");
}
