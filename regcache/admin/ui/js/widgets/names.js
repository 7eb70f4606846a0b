/** Names of images: the upstream dim, breaks where slashes are; links from validated names alone. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { hostile, plain } from "../core/hostile.js";
import { t } from "../core/i18n.js";
import { link } from "../core/router.js";
import { icon } from "./basics.js";

/** What a repository with its upstream looks like; nothing else becomes a link. */
const NAME = /^[a-z0-9][a-z0-9.:_-]*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-zA-Z=_-]{32,128}$/;

/** @param {string} name `<upstream>/<repository>` */
export function repositoryName(name) {
  const slash = name.indexOf("/");
  return html`<bdi><span class="up">${pieces(name.slice(0, slash + 1))}</span><wbr>${pieces(name.slice(slash + 1))}</bdi>`;
}

/** @param {string} text */
function pieces(text) {
  return plain(text).split(/(?<=[/-])/).map((each, i) => html`${i ? html`<wbr>` : nothing}${each}`);
}

/** The page of a repository, or of one image in it; "" for what is no name. @param {string} name @param {string | null} [reference] */
export function imageHref(name, reference = null) {
  if (!NAME.test(name) || name.length > 300) return "";
  if (reference === null) return link("images", name);
  if (DIGEST.test(reference)) return link("images", `${name}@${reference}`);
  return TAG.test(reference) ? link("images", `${name}:${reference}`) : "";
}

/** A name that leads to its page. @param {string} name @param {string | null} [reference] @param {unknown} [content] */
export function imageLink(name, reference = null, content = repositoryName(name)) {
  const href = imageHref(name, reference);
  return href ? html`<a href=${href} title=${plain(name)}>${content}</a>` : html`<span>${content}</span>`;
}

/** A tag, or the beginning of a digest. @param {string} reference @returns {string} */
export function shortReference(reference) {
  return reference.includes(":") ? reference.slice(0, 19) : reference;
}

/** The name of a host, with what stands behind it; it breaks where its parts end. @param {string} text */
export function hostName(text) {
  return html`<bdi>${plain(text).split(/(?<=[/.])/).map((each, i) => html`${i ? html`<wbr>` : nothing}${each}`)}</bdi>`;
}

/** The first letters of a digest. @param {string} digest */
export function shortDigest(digest) {
  return html`<code class="nw t2" title=${plain(digest)}>${hostile(digest.replace(/^sha256:/, "").slice(0, 12))}</code>`;
}

/** Which part of an image a blob is. @param {{ index: number, of: number } | null} part @param {string | null} [digest] */
export function partName(part, digest = null) {
  if (part) return t("part.layer", { index: part.index, of: part.of });
  return digest ? digest.replace(/^sha256:/, "").slice(0, 12) : "";
}

/** A pin beside a name. */
export function pinMark() {
  return html` <span class="t3" title=${t("pinned.title")}>${icon("pin")}<span class="sr">${t("images.pinned")}</span></span>`;
}
