/** Downloads as the stream tells of them: changed fields, and those that are gone. */

/** @typedef {import("./shapes.js").Transfer} Transfer */

/** @param {{ digest: string, names: string[] }} item @returns {string} */
export function transferKey({ digest, names }) {
  return `${digest} ${names[0]}`;
}

/** What there is after an event. @param {Transfer[]} items @param {Array<Partial<Transfer> & { digest: string, names: string[], gone?: string }>} changes @returns {Transfer[]} */
export function changedTransfers(items, changes) {
  const found = new Map(items.map((each) => [transferKey(each), each]));
  for (const { gone, ...fields } of changes) {
    const key = transferKey(fields);
    if (gone) found.delete(key);
    else found.set(key, /** @type {Transfer} */ ({ ...found.get(key), ...fields }));
  }
  return [...found.values()];
}
