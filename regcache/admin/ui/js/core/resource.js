/** What was asked for: it is loading, there, or failed; what is known stays while it is asked anew. */
import { Problem } from "./api.js";
import { paint } from "./painting.js";

/** Milliseconds after which a skeleton is shown. */
const PATIENCE_MS = 200;

/** @template T */
export class Resource {
  /** @param {() => Promise<T>} load */
  constructor(load) {
    this.load = load;
    /** @type {T | null} */
    this.value = null;
    /** @type {Problem | null} */
    this.problem = null;
    this.isLoading = false;
    /** Whether it takes long enough to say so. */
    this.isSlow = false;
    this.turn = 0;
    this.isClosed = false;
  }

  /** Ask, or ask again. An older answer that comes later is dropped. */
  async refresh() {
    if (this.isClosed) return;
    const turn = ++this.turn;
    this.isLoading = true;
    const timer = setTimeout(() => this.slow(turn), PATIENCE_MS);
    try {
      const value = await this.load();
      if (turn === this.turn) this.take(value);
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    } finally {
      clearTimeout(timer);
      if (turn === this.turn) this.settle();
    }
  }

  /** Something told what it is now. @param {T} value */
  take(value) {
    this.value = value;
    this.problem = null;
  }

  /** @param {unknown} error */
  fail(error) {
    if (!(error instanceof Problem)) console.error(error);
    this.problem = error instanceof Problem ? error : new Problem(0, { code: "INTERNAL", detail: String(error) });
  }

  /** @param {number} turn */
  slow(turn) {
    if (turn !== this.turn) return;
    this.isSlow = true;
    paint();
  }

  settle() {
    this.isLoading = this.isSlow = false;
    paint();
  }

  /** Take no answer any more, and ask for none: the page is left. */
  close() {
    this.isClosed = true;
    this.turn += 1;
  }
}

/**
 * Rows that come page by page.
 *
 * @template T
 * @extends {Resource<T[]>}
 */
export class PagedResource extends Resource {
  /** @param {(cursor: string | null) => Promise<{ items: T[], next: string | null, total?: number | null }>} loadPage */
  constructor(loadPage) {
    super(() => this.first());
    /** @type {T[] | null} */
    this.value = null;
    /** @type {boolean} */
    this.isLoading = false;
    this.loadPage = loadPage;
    /** @type {string | null} */
    this.next = null;
    /** @type {number | null} */
    this.total = null;
    /** Whether rows beyond the first page are there. */
    this.hasFurther = false;
    /** Whether somebody asked for the rows that follow and does not have them yet. */
    this.isMoreWanted = false;
  }

  /** The first rows. What follows the rows of an older answer is dropped like these. */
  async first() {
    const { turn } = this;
    const { items, next, total = null } = await this.loadPage(null);
    if (turn === this.turn) Object.assign(this, { next, total, hasFurther: false });
    return items;
  }

  /** The list is there, or failed: what was asked for meanwhile comes now. */
  settle() {
    super.settle();
    if (!this.isMoreWanted) return;
    if (this.next && !this.problem) this.follow();
    else this.isMoreWanted = false;
  }

  /** Ask for the first rows of another list: nobody asked for more of that one. */
  begin() {
    this.isMoreWanted = false;
    return this.refresh();
  }

  /** Ask again, because something changed; who has gone on to further rows keeps them. */
  async renew() {
    if (!this.hasFurther && !this.isMoreWanted) await this.refresh();
  }

  /** Ask for the rows that follow; where the list is being asked for, right after that. */
  async more() {
    if (!this.next || this.isClosed) return;
    this.isMoreWanted = true;
    if (!this.isLoading) await this.follow();
  }

  /** Take the rows that follow; begins anew where the place is no longer known (410). */
  async follow() {
    const turn = ++this.turn;
    this.isLoading = true;
    try {
      const { items, next, total = null } = await this.loadPage(this.next);
      if (turn !== this.turn) return;
      this.take([...(this.value ?? []), ...items]);
      this.next = next;
      this.total = total ?? this.total;
      this.hasFurther = true;
      this.isMoreWanted = false;
    } catch (error) {
      if (turn !== this.turn) return;
      this.isMoreWanted = false;
      if (error instanceof Problem && error.status === 410) await this.refresh();
      else this.fail(error);
    } finally {
      if (turn === this.turn) this.settle();
    }
  }
}
