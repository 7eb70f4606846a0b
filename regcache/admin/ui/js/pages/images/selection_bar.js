/** What may be done with the repositories that are selected. */
import { html, nothing } from "../../../vendor/lit-html/lit-html.js";
import { get, post } from "../../core/api.js";
import { count, size } from "../../core/format.js";
import { t } from "../../core/i18n.js";
import { attempt } from "../../widgets/attempt.js";
import { actionButton, announce, button } from "../../widgets/basics.js";
import { openPlan } from "../../widgets/plan_dialog.js";

/** @typedef {import("./shapes.js").Repository} Repository */

/**
 * @param {import("../../widgets/selection.js").Selection} selection
 * @param {Repository[]} rows
 * @param {() => void} changed
 */
export function selectionBar(selection, rows, changed) {
  const chosen = rows.filter((each) => selection.has(each.name));
  if (!chosen.length) return nothing;
  const frees = chosen.filter((each) => !each.pinned_tags).reduce((all, each) => all + (each.own_bytes ?? 0), 0);
  return html`<div class="selbar" role="status"><span class="b">${t("selected", { n: chosen.length })}</span><span class="t2">${t("selected.frees", { size: size(frees) })}</span><span class="sp"></span>
    ${button({ label: t("selected.none"), icon: "x", classes: "q", isIcon: true, run: () => selection.clear() })}
    ${actionButton("pin", { label: t("pin"), icon: "pin", run: () => pinAll(chosen, changed) })}
    ${actionButton("delete", { label: t("delete"), icon: "trash", classes: "danger", run: () => deleteAll(chosen, { done: () => { selection.clear(); changed(); } }) })}</div>`;
}

/** Plan to delete whole repositories. @param {Array<{ name: string }>} chosen @param {{ done?: () => void, closed?: () => void }} then */
export function deleteAll(chosen, then) {
  openPlan(
    { action: "delete", targets: chosen.map(({ name }) => ({ name })) },
    {
      title: (plan) => {
        const names = new Set(plan.items.map((each) => each.name));
        return chosen.length === 1 ? t("delete.one", { name: chosen[0].name }) : t("delete.some", { n: names.size, all: count(chosen.length) });
      },
      ...then,
    },
  );
}

/** Pin every cached tag of some repositories. @param {Repository[]} chosen @param {() => void} changed */
async function pinAll(chosen, changed) {
  await attempt(async () => {
    let pinned = 0;
    for (const { name } of chosen) {
      const targets = await tagsOf(name);
      if (targets.length) pinned += (await post("pin", { targets })).changed;
    }
    announce(t("pinned.done", { n: pinned }));
  });
  changed();
}

/** @param {string} name @returns {Promise<Array<{ name: string, reference: string }>>} all tags that are cached */
async function tagsOf(name) {
  const found = [];
  let cursor = null;
  do {
    const { items, next } = await get("tags", { name, limit: 200, cursor });
    for (const row of items) found.push(...row.tags.map((/** @type {string} */ reference) => ({ name, reference })));
    cursor = next;
  } while (cursor);
  return found;
}
