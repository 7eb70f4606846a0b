/** One download: of what, what of it is here, how fast, for whom. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { duration, rate, size } from "../core/format.js";
import { hostile, plain } from "../core/hostile.js";
import { t } from "../core/i18n.js";
import { icon } from "./basics.js";
import { pieces } from "./meter.js";
import { imageLink, partName } from "./names.js";

/** @param {import("../core/shapes.js").Transfer} item */
export function transferRow(item) {
  const { names, state, size_bytes: whole, here_bytes: here } = item;
  const label = plain(`${names[0]} ${partName(item.part, item.digest)}`);
  return html`<div class="xfer"><div class="nw-e"><span class="b">${imageLink(names[0])}</span> <span class="t3 small">${partName(item.part, item.digest)}</span></div>
    <div class="num">${state === "running" ? rate(item.rate_bytes_per_s) : html`<span class=${`tag ${state === "parked" ? "w" : ""}`}>${t(`transfer.${state}`)}</span>`}</div>
    ${pieces(item.intervals, whole, { label, here, colour: state === "parked" ? "fg" : "f1" })}
    <div class="sub">${whole == null ? size(here) : t("part.of", { here: size(here), all: size(whole) })}${timeLeft(item)}</div>
    <div class="sub num">${readers(item)}</div></div>`;
}

/** @param {import("../core/shapes.js").Transfer} item */
function timeLeft({ size_bytes: whole, here_bytes: here, rate_bytes_per_s: speed, state }) {
  if (!whole || !speed || state !== "running") return nothing;
  return html` · ${t("transfer.left", { time: duration(((whole - here) / speed) * 1000) })}`;
}

/** @param {import("../core/shapes.js").Transfer} item */
function readers({ readers: all, state }) {
  if (!all.length) return html`<span class="t3">${t(state === "parked" ? "transfer.nobody.parked" : "transfer.nobody")}</span>`;
  const known = [...new Set(all.map((each) => each.principal).filter((each) => each !== null))];
  return html`${icon("user")} ${known.length ? known.map((each, i) => html`${i ? ", " : nothing}${hostile(each)}`) : t("transfer.readers", { n: all.length })}`;
}
