/** A file or a command, with a button that copies it. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { hostile } from "../core/hostile.js";
import { t } from "../core/i18n.js";
import { copyButton } from "./copying.js";

/** @typedef {{ kind: "file" | "shell", path: string | null, text: string, part?: boolean, secret?: boolean }} Block */

/** All of it, in a part of the page that scrolls: it is to be read before it is copied. @param {Block} block */
export function codeBlock({ kind, path, text, part = false, secret = false }) {
  const caption = kind === "file" ? html`<code>${hostile(path ?? "")}</code>` : t("block.shell");
  return html`<div class="code"><div class="cap">${caption}${part ? html`<span class="tag">${t("block.part")}</span>` : nothing}${secret ? html`<span class="tag w">${t("block.secret")}</span>` : nothing}<span class="sp"></span>${copyButton(text)}</div>
    <pre tabindex="0">${hostile(text, { hasLines: true, isWhole: true })}</pre></div>`;
}
