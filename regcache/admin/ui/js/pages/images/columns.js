/** The columns of repositories, and platforms in a row. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { count, size } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { since } from "../../widgets/basics.js";
import { few } from "../../widgets/few.js";
import { imageLink, pinMark } from "../../widgets/names.js";
import { platform } from "../../widgets/platforms.js";
import { sparkline } from "../../widgets/sparkline.js";

/** @typedef {import("./shapes.js").Repository} Repository */
/** @typedef {import("./shapes.js").Platform} Platform */

/** Platforms that a row shows at first. */
const IN_A_ROW = { most: 8, between: " " };

/** @returns {Array<import("../../widgets/table.js").Column<Repository>>} */
export function columns() {
  return [
    { title: t("repository"), sort: "name", classes: "name", cell: (row) => html`${imageLink(row.name)}${row.pinned_tags ? pinMark() : nothing}` },
    { title: t("platforms.cached"), fold: "narrow", classes: "plats", cell: sums, folded: sums },
    { title: t("tags"), sort: "tags", isNumber: true, fold: "narrow", cell: (row) => count(row.tags) },
    { title: t("on.disk"), sort: "size", isNumber: true, cell: (row) => size(row.stored_bytes) },
    { title: t("shared"), isNumber: true, fold: "medium", classes: "t3", cell: (row) => (row.shared_bytes ? size(row.shared_bytes) : "–") },
    { title: t("pulls.30d"), sort: "pulls", isNumber: true, fold: "medium", cell: (row) => count(row.pulls_30d) },
    { title: t("trend"), isSpoken: true, fold: "medium", cell: (row) => sparkline(row.pulls_series) },
    { title: t("last.used"), sort: "last_used", isNumber: true, cell: (row) => since(row.last_used) },
  ];
}

/** Full only if it is full for every tag that lists it. @param {Repository} row */
function sums(row) {
  const shown = few(`platforms ${row.name}`, row.platforms, (each) => platform(each.platform ?? t("platform.unknown"), { isWhole: each.partial_tags === 0 && each.complete_tags > 0, share: shareOf(each.here_bytes, each.all_bytes) }), IN_A_ROW);
  return html`${shown}${row.absent_platforms ? html`<span class="t3 small nw" title=${t("absent.title")}>${t("absent", { n: row.absent_platforms })}</span>` : nothing}`;
}

/** @param {number} here @param {number | null} all @returns {number} */
export function shareOf(here, all) {
  if (here === 0) return 0;
  return all ? Math.min(0.99, here / all) : 0.5;
}

/** The platforms of one image. @param {Platform[]} platforms @param {string} digest of it */
export function platformList(platforms, digest) {
  const here = platforms.filter((each) => each.manifest_here || each.here_bytes > 0);
  const absent = platforms.length - here.length;
  return html`${few(`platforms ${digest}`, here, (each) => onePlatform(each), IN_A_ROW)}${absent ? html`<span class="t3 small nw" title=${t("absent.title")}>${t("absent", { n: absent })}</span>` : nothing}`;
}

/** @param {Platform} each @param {boolean} [isLong] */
export function onePlatform(each, isLong = false) {
  return platform(each.platform ?? t("platform.unknown"), { isWhole: each.complete, share: shareOf(each.here_bytes, each.all_bytes), isLong });
}
