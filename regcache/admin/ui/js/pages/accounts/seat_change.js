/**
 * Changes what an account may use, and until when.
 *
 * Only what was changed is asked for, and only of the version of the file that was shown. If the
 * file is another one by then, what was typed stays, and what is new is noted beside it.
 */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { getVersion, Problem } from "../../core/api.js";
import { exactTime, typedSize } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { icon } from "../../widgets/basics.js";
import { openChange } from "./changes.js";

/** @typedef {import("./shapes.js").Seat} Seat */
/** @typedef {{ seat: Seat | null, version: string | null }} Found of the file of seats that has this version */

/**
 * @typedef {object} Field
 * @property {string} title the key of its text
 * @property {(seat: Seat) => string} text what it holds; "" for nothing
 * @property {(text: string) => unknown} [meant] what the API is told; itself if left out
 * @property {string} [type] of the input
 * @property {boolean} [isLimit] nothing is no limit
 */

/** @param {"daily" | "monthly" | "rate"} name @param {string} title @returns {Field} */
function sizeField(name, title) {
  return { title, isLimit: true, text: (seat) => (seat[name] === null ? "" : typedSize(seat[name])) };
}

/** By their names in the API, in pairs. @type {Record<string, Field>} */
const FIELDS = {
  daily: sizeField("daily", "accounts.quota.daily"),
  monthly: sizeField("monthly", "accounts.monthly"),
  rate: sizeField("rate", "accounts.rate.field"),
  downloads: { title: "accounts.downloads", isLimit: true, type: "number", text: (seat) => String(seat.downloads ?? ""), meant: Number },
  until: { title: "accounts.until.field", type: "date", text: (seat) => seat.until ?? "" },
  note: { title: "accounts.note", text: (seat) => seat.note },
  upstreams: { title: "accounts.upstreams.field", text: (seat) => (seat.upstreams ?? []).join(", "), meant: (text) => text.split(/[\s,]+/).filter(Boolean) },
};

/** An account as it is now. @param {string} name @returns {Promise<Found>} */
export async function findSeat(name) {
  const { value, version } = await getVersion("seats");
  return { seat: value.items.find((/** @type {Seat} */ each) => each.name === name) ?? null, version };
}

/** A text as an input has it, and gives it back. @param {string} text */
function shown(text) {
  return text.replace(/[\r\n]/g, "").trim();
}

class SeatFields {
  /** @param {Seat} seat @param {string | null} version */
  constructor(seat, version) {
    this.seat = seat;
    this.version = version;
    /** Its fields as they were shown before. @type {Seat | null} */
    this.former = null;
  }

  /** Look again, and note what is new. */
  async reload() {
    const { seat, version } = await findSeat(this.seat.name);
    if (!seat) throw new Problem(404, { code: "UNKNOWN_SEAT" });
    this.former ??= this.seat;
    this.seat = seat;
    this.version = version;
  }

  /** @param {FormData} form @returns {Record<string, unknown> | null} */
  body(form) {
    /** @type {Record<string, unknown>} */
    const changed = form.has("reopen") ? { ended: null } : {};
    for (const [name, { text, meant }] of Object.entries(FIELDS)) {
      const typed = String(form.get(name) ?? "").trim();
      if (typed !== shown(text(this.seat))) changed[name] = typed === "" ? null : (meant?.(typed) ?? typed);
    }
    return Object.keys(changed).length ? { name: this.seat.name, new: false, ...changed } : null;
  }

  /** @param {Problem | null} problem */
  content(problem) {
    const wrong = problem?.code === "INVALID" ? problem.params.field : null;
    const isMoved = problem?.code === "CHANGED";
    return html`${isMoved ? html`<div class="note">${icon("warn")}<span>${t("accounts.change.kept")}</span></div>` : nothing}
      ${this.seat.ended ? html`<label class="small"><input type="checkbox" name="reopen"> ${t("accounts.reopen", { time: exactTime(this.seat.ended) })}</label>` : nothing}
      <div class="pair">${Object.entries(FIELDS).map(([name, field]) => this.field(name, field, wrong === name))}</div>
      <p class="small t3">${t("accounts.change.hint")}</p>`;
  }

  /** What was typed stays while the value of the attribute becomes another one. @param {string} name @param {Field} field @param {boolean} isWrong */
  field(name, { title, text, type = "text", isLimit = false }, isWrong) {
    const now = text(this.seat), isNew = this.former && text(this.former) !== now;
    const bounds = type === "number" ? { min: "1", max: "10000" } : { min: nothing, max: nothing };
    return html`<label class="small t2">${t(title)}<input class="w100" type=${type} name=${name} value=${now} placeholder=${isLimit ? t("accounts.no.limit") : nothing}
      min=${bounds.min} max=${bounds.max} maxlength=${type === "text" ? 1000 : nothing} autocomplete="off" autocapitalize="none" spellcheck=${name === "note" ? nothing : "false"} aria-invalid=${isWrong || nothing}>
      ${isNew ? html`<span class="warn">${icon("warn")} ${t("accounts.change.meanwhile")} ${now ? hostile(now) : t("accounts.change.nothing")}</span>` : nothing}</label>`;
  }
}

/** @param {Seat} seat @param {string | null} version @param {() => void} done */
export function openSeatChange(seat, version, done) {
  const fields = new SeatFields(seat, version), { name } = seat;
  openChange({
    title: t("accounts.change.ask", { name }),
    content: (problem) => fields.content(problem),
    run: t("accounts.change.run"),
    call: "seats",
    body: (form) => fields.body(form),
    version: () => fields.version,
    reload: () => fields.reload(),
    secret: () => null,
    told: () => t("accounts.change.done", { name }),
    done,
  });
}
