/** By which rules something leaves the disk, and what each upstream has of it. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { count, duration, size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { hasText, t } from "../../core/i18n.js";
import { link } from "../../core/router.js";
import { actionButton, icon, since } from "../../widgets/basics.js";
import { meter } from "../../widgets/meter.js";

/** @typedef {import("./shapes.js").Storage} Storage */

/** @param {Storage} storage */
export function rulesPanel({ rules, last_sweep: swept, last_verify: verified }) {
  return html`<div class="in"><dl class="facts">${rules.map(rule)}
    <dt>${t("storage.swept")}</dt><dd>${swept ? html`${since(swept.time)} <span class="t3">· ${t("storage.swept.freed", { size: size(swept.freed_bytes), time: duration(swept.duration_ms) })}</span>` : t("storage.not.yet")}</dd>
    <dt>${t("storage.verified")}</dt><dd>${verified ? verification(verified) : t("storage.not.yet")}</dd></dl></div>`;
}

/** @param {Storage["rules"][number]} rule */
function rule({ key, value, effective }) {
  const shown = value === null ? t("storage.rule.none") : hostile(typeof value === "object" ? JSON.stringify(value) : value);
  const means = effective === null || (isTime(key) && !effective) ? "" : isTime(key) ? duration(effective * 1000) : size(effective);
  const note = `storage.rule.${key.replace(/^storage\./, "")}`;
  const notes = [means && means !== String(value) ? means : "", hasText(note) ? t(note) : ""].filter(Boolean);
  return html`<dt><code>${hostile(key)}</code></dt><dd>${shown}${notes.map((each) => html` <span class="t3">· ${each}</span>`)}</dd>`;
}

/** Whether what a rule comes to are seconds. @param {string} key */
function isTime(key) {
  return /unused_for|_age|_ttl|partial|interval|every/.test(key);
}

/** @param {NonNullable<Storage["last_verify"]>} verified */
function verification({ time, blobs, damaged }) {
  const found = damaged.length
    ? html`<span class="bad">${icon("bad")} ${t("storage.verified.damaged", { n: damaged.length })}</span> ${damaged.map((each) => html`<code class="xs">${hostile(each)}</code> `)}`
    : html`<span class="t3">${t("storage.verified.sound", { n: blobs })}</span>`;
  return html`${since(time)} · ${found}`;
}

/** @param {Storage} storage @param {import("./preview.js").Preview} preview */
export function upstreamsPanel({ by_upstream: upstreams }, preview) {
  const most = Math.max(1, ...upstreams.map((each) => each.stored_bytes));
  if (!upstreams.length) return html`<p class="in t2 small">${t("disk.empty")}</p>`;
  return html`<div class="in"><ul class="rank">${upstreams.map((each) => html`<li><a href=${link("images", "", { upstream: each.name })}>${hostile(each.name)}</a><span class="num small">${size(each.stored_bytes)} <span class="t3">· ${count(each.repositories)}</span>${each.stored_bytes ? purgeButton(each.name, preview) : nothing}</span>${meter([[each.stored_bytes / most, "f2"]])}</li>`)}</ul>
    <p class="small t3 mt">${t("storage.upstreams.shared")}</p></div>`;
}

/** @param {string} name @param {import("./preview.js").Preview} preview */
function purgeButton(name, preview) {
  return html` ${actionButton("purge", { label: t("storage.purge"), icon: "trash", classes: "q", isIcon: true, title: t("storage.purge.title", { name }), run: () => preview.purge(name) })}`;
}
