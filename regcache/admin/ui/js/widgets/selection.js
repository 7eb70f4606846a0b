/** What is selected of the rows of a table; Shift selects all between two. */
import { paint } from "../core/painting.js";

export class Selection {
  constructor() {
    /** @type {Set<string>} keys of rows */
    this.keys = new Set();
    /** @type {string | null} where a range begins */
    this.anchor = null;
  }

  /** @param {string} key */
  has(key) {
    return this.keys.has(key);
  }

  get size() {
    return this.keys.size;
  }

  /** Select a row, or no longer. @param {string} key @param {string[]} order keys of all rows @param {boolean} isRange Shift is held */
  toggle(key, order, isRange) {
    const isOn = !this.keys.has(key);
    for (const each of isRange ? this.between(key, order) : [key]) {
      if (isOn) this.keys.add(each);
      else this.keys.delete(each);
    }
    this.anchor = key;
    paint();
  }

  /** @param {string} key @param {string[]} order @returns {string[]} */
  between(key, order) {
    const from = order.indexOf(this.anchor ?? key), to = order.indexOf(key);
    return from < 0 || to < 0 ? [key] : order.slice(Math.min(from, to), Math.max(from, to) + 1);
  }

  /** Only rows that are there can be selected. @param {string[]} order */
  keepOnly(order) {
    const there = new Set(order);
    for (const key of this.keys) if (!there.has(key)) this.keys.delete(key);
  }

  clear() {
    this.keys.clear();
    this.anchor = null;
    paint();
  }
}
