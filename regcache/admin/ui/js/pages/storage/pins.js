/** What is pinned by hand: it never leaves by itself. */
import { html } from "../../../vendor/lit-html/lit-html.js";
import { post } from "../../core/api.js";
import { size } from "../../core/format.js";
import { hostile } from "../../core/hostile.js";
import { t } from "../../core/i18n.js";
import { attempt } from "../../widgets/attempt.js";
import { actionButton, announce, since } from "../../widgets/basics.js";
import { imageLink } from "../../widgets/names.js";
import { empty } from "../../widgets/panel.js";
import { pagedTable } from "../../widgets/table.js";

/** @typedef {import("./shapes.js").Pinned} Pinned */

/** @param {import("../../core/resource.js").PagedResource<Pinned>} pins @param {() => void} changed */
export function pinsPanel(pins, changed) {
  /** @type {Array<import("../../widgets/table.js").Column<Pinned>>} */
  const columns = [
    { title: t("storage.image"), classes: "name", cell: (row) => html`${imageLink(row.name, row.reference)} <span class="t3">${hostile(row.reference)}</span>` },
    { title: t("storage.own"), isNumber: true, cell: (row) => size(row.own_bytes) },
    { title: t("storage.pinned.by"), fold: "narrow", cell: (row) => hostile(row.by ?? "–") },
    { title: t("storage.pinned.since"), fold: "narrow", cell: (row) => since(row.since) },
    { title: t("storage.actions"), isSpoken: true, classes: "act", cell: (row) => actionButton("pin", { label: t("unpin"), icon: "pin", run: () => unpin(row, changed) }) },
  ];
  const model = { label: t("storage.pins"), keyOf: (/** @type {Pinned} */ row) => `${row.name} ${row.reference}`, columns };
  return pagedTable(pins, model, () => empty("pin", t("storage.pins.none"), t("storage.pins.none.why")));
}

/** @param {Pinned} row @param {() => void} changed */
async function unpin({ name, reference }, changed) {
  await attempt(async () => {
    await post("unpin", { targets: [{ name, reference }] });
    announce(t("storage.unpinned", { name: `${name} ${reference}` }));
  });
  changed();
}
