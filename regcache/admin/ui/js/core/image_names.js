/** Names of images as people type them: of a registry, or of this proxy. */

/** @typedef {{ name: string, reference: string | null }} NamedImage name: `<upstream>/<repository>` */
/** @typedef {{ name: string, aliases?: string[], hosts?: string[] }} Known an upstream */

const HUB = "docker.io", OFFICIAL = "library/", LATEST = "latest";

/** A name and what stands behind it: a tag or a digest. @param {string} text @returns {NamedImage} */
export function splitReference(text) {
  const at = text.indexOf("@");
  if (at >= 0) {
    const named = splitReference(text.slice(0, at));
    return { name: named.name, reference: text.slice(at + 1) || named.reference };
  }
  const colon = text.lastIndexOf(":");
  if (colon <= text.lastIndexOf("/")) return { name: text, reference: null };
  return { name: text.slice(0, colon), reference: text.slice(colon + 1) };
}

/** Whether the first word of a name is a host. @param {string} word */
function isHost(word) {
  return word.includes(".") || word.includes(":") || word === "localhost";
}

/** The upstream that a word names. @param {string} word @param {Known[]} upstreams */
function named(word, upstreams) {
  return upstreams.find((each) => [each.name, ...(each.aliases ?? []), ...(each.hosts ?? [])].includes(word))?.name;
}

/**
 * What somebody means who types `nginx`, `ghcr.io/org/app:1.2`, or a name below this proxy.
 *
 * @param {string} text
 * @param {Known[]} upstreams
 * @returns {{ name: string, reference: string } | null} null for what is no name of an image here
 */
export function meantImage(text, upstreams) {
  const { name, reference } = splitReference(text.trim().replace(/^(docker:\/\/|https?:\/\/)/, ""));
  const words = name.split("/").filter(Boolean);
  while (words.length > 1 && isHost(words[0]) && !named(words[0], upstreams) && named(words[1], upstreams)) words.shift();
  if (words.length === 0) return null;
  const first = named(words[0], upstreams);
  if (!first && words.length > 1 && isHost(words[0])) return null;
  const upstream = first ?? named(HUB, upstreams), rest = first ? words.slice(1) : words;
  if (!upstream || rest.length === 0) return null;
  const repository = upstream === HUB && rest.length === 1 ? OFFICIAL + rest[0] : rest.join("/");
  return { name: `${upstream}/${repository}`, reference: reference ?? LATEST };
}
