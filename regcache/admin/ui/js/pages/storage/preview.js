/** What a sweep would remove: a plan that is shown here, and run from a dialog that shows it again. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { post } from "../../core/api.js";
import { size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { paint } from "../../core/painting.js";
import { Resource } from "../../core/resource.js";
import { can } from "../../core/session.js";
import { actionButton, icon } from "../../widgets/basics.js";
import { imageLink, shortReference } from "../../widgets/names.js";
import { empty, whenThere } from "../../widgets/panel.js";
import { hiddenOf, openPlan, planSums, removes } from "../../widgets/plan_dialog.js";
import { table } from "../../widgets/table.js";

/** @typedef {import("../../widgets/plan_dialog.js").Plan} Plan */

const DAYS = ["", "7", "14", "30", "90"];
/** Shares of storage.max_size to which a sweep may go down. */
const SHARES = [0.9, 0.75, 0.5];
/** Rows that are shown. */
const MOST = 100;

export class Preview {
  /** @param {() => void} done called when something was removed */
  constructor(done) {
    this.done = done;
    this.days = "";
    /** @type {number | null} bytes that are to be left, instead of a number of days */
    this.left = null;
    /** @type {Resource<Plan>} */
    this.plan = new Resource(() => post("plans", this.request()));
  }

  request() {
    if (this.left !== null) return { action: "sweep", to_bytes: this.left };
    return { action: "sweep", ...(this.days ? { unused_for_days: Number(this.days) } : {}) };
  }

  /** Plan it anew; looking needs no rights, but planning does. */
  make() {
    if (can("sweep")) this.plan.refresh();
  }

  /** @param {string} chosen a number of days, "" for the rules, or "=" and bytes */
  choose(chosen) {
    this.left = chosen.startsWith("=") ? Number(chosen.slice(1)) : null;
    this.days = this.left === null ? chosen : "";
    this.plan.value = null;
    this.make();
    paint();
  }

  sweep() {
    openPlan(this.request(), { title: (plan) => t(this.left === null ? "storage.sweep.ask" : "storage.sweep.least", { size: size(plan.freed_bytes) }), done: this.done });
  }

  /** Plan to remove all that an upstream has. @param {string} upstream */
  purge(upstream) {
    openPlan({ action: "purge", upstream }, { title: (plan) => t("storage.purge.ask", { name: upstream, size: size(plan.freed_bytes) }), done: this.done });
  }

  /** How far down what is used least may go. @param {import("./shapes.js").Storage | null} storage */
  downTo(storage) {
    const limit = storage?.disk.limit_bytes, used = storage?.disk.used_bytes;
    if (!limit || used == null) return nothing;
    const sizes = SHARES.map((each) => Math.floor(limit * each)).filter((each) => each < used || each === this.left);
    return sizes.length
      ? html`<optgroup label=${t("storage.least")}>${sizes.map((each) => html`<option value=${`=${each}`} ?selected=${each === this.left}>${t("storage.down.to", { size: size(each) })}</option>`)}</optgroup>`
      : nothing;
  }

  /** @param {import("./shapes.js").Storage | null} storage */
  view(storage) {
    const tools = html`<label class="small t2 nw">${t(this.left === null ? "storage.unused" : "storage.least")} <select @change=${(/** @type {Event} */ event) => this.choose(/** @type {HTMLSelectElement} */ (event.target).value)}>
        ${DAYS.map((each) => html`<option value=${each} ?selected=${each === this.days && this.left === null}>${each ? t("storage.days", { n: Number(each) }) : t("storage.by.rule")}</option>`)}${this.downTo(storage)}</select></label>
      ${actionButton("sweep", { label: t("storage.sweep.now"), icon: "trash", classes: "danger", isDisabled: !this.plan.value || !removes(this.plan.value), run: () => this.sweep() })}`;
    const content = can("sweep") ? whenThere(this.plan, (plan) => shownPlan(plan, storage), 5) : empty("lock", t("storage.preview.locked"), t("reader.hint"));
    return html`<section class="panel c12"><header><h2>${t("storage.preview")}</h2><span class="tag a">${t("storage.preview.only")}</span><span class="sp"></span>${tools}</header>${content}</section>`;
  }
}

/** @param {Plan} plan @param {import("./shapes.js").Storage | null} storage */
function shownPlan(plan, storage) {
  if (!removes(plan) && !plan.skipped.length) return empty("ok", t("storage.preview.none"), storage?.disk.evictable_bytes ? t("storage.preview.none.why") : t("disk.empty"));
  const hidden = hiddenOf(plan, MOST);
  return html`<div class="in">${planSums(plan)}</div>${table({ label: t("storage.preview"), rows: rowsOf(plan), keyOf: (row) => row.key, columns: columns(), rowClasses: (row) => (row.why ? "dim" : "") })}
    ${hidden > 0 ? html`<footer>${t("plan.more", { n: hidden })}</footer>` : nothing}`;
}

/** @typedef {{ key: string, name: string, called: string, days: number | null, size: number | null, frees: number | null, why: string, others: string[], isPart: boolean }} Row */

/** @param {Plan} plan @returns {Row[]} what goes, then what stays though it was looked at */
function rowsOf(plan) {
  const going = plan.items.slice(0, MOST).map((item) => ({
    key: `${item.name} ${item.digest ?? ""} ${item.tags.join()}`,
    name: item.name,
    called: item.tags.length ? item.tags.join(", ") : (item.digest ?? "").slice(0, 19),
    days: item.unused_days,
    size: item.size_bytes,
    frees: item.frees_bytes,
    why: "",
    others: item.shared_with,
    isPart: !item.whole,
  }));
  const staying = plan.skipped.slice(0, MOST).map(({ name, reference, why }) => ({ key: `skipped ${name} ${reference}`, name, called: shortReference(reference), days: null, size: null, frees: null, why, others: [], isPart: false }));
  return [...going, ...staying];
}

/** @returns {Array<import("../../widgets/table.js").Column<Row>>} */
function columns() {
  return [
    { title: t("storage.image"), classes: "name", cell: (row) => html`${row.name ? imageLink(row.name) : t("plan.nameless")}<span class="sub">${hostile(row.called)}</span>` },
    { title: t("storage.unused"), isNumber: true, cell: (row) => (row.days === null ? "–" : t("storage.days", { n: row.days })) },
    { title: t("size"), isNumber: true, fold: "narrow", cell: (row) => size(row.size) },
    { title: t("storage.frees"), isNumber: true, cell: (row) => html`<span class="b">${size(row.frees)}</span>` },
    { title: t("requests.why"), fold: "narrow", classes: "small t2", cell: reason, folded: (row) => (row.why || row.isPart ? reason(row) : "") },
  ];
}

/** @param {Row} row */
function reason({ why, size: whole, frees, isPart }) {
  if (why) return html`${icon(why === "pinned" ? "pin" : "clock")} ${t(`plan.skipped.${why}`)}`;
  if (isPart) return t("plan.part");
  const stays = (whole ?? 0) - (frees ?? 0);
  return stays > 0 ? t("plan.stays", { size: size(stays) }) : t("storage.alone");
}
