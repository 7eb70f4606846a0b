/**
 * The stream of events: what the daemon tells by itself.
 *
 * state    event                        what holds afterwards
 * ------   --------------------------   -------------------------------------------------
 * closed   start                        open or lost, as the browser says
 * closed   it is there                  open: everything is asked for anew
 * open     it breaks                    lost: tried again every 3 s
 * lost     it is there again            open: everything is asked for anew
 * any      hidden for 30 s              closed: a browser has six connections only
 * closed   seen again                   open: everything is asked for anew
 * any      the daemon sends `reset`     everything is asked for anew
 */
import { callUrl } from "./api.js";

export const TOPICS = ["status", "transfer", "request", "upstream", "job", "changed"];
const RETRY_MS = 3000;
const HIDDEN_MS = 30_000;

/** @typedef {(data: any) => void} Listener */

export class EventStream {
  constructor() {
    /** @type {Map<string, Set<Listener>>} */
    this.listeners = new Map();
    /** @type {EventSource | null} */
    this.source = null;
    /** Whether figures are up to date. */
    this.isLive = false;
    /** When something was heard last (Unix milliseconds). */
    this.heard = Date.now();
    this.wasOpen = false;
    /** Closed because nobody looks. */
    this.isPaused = false;
    this.isStarted = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} until it is tried again */
    this.retry = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} until it is closed, since nobody looks */
    this.patience = undefined;
    document.addEventListener("visibilitychange", () => this.seenOrHidden());
  }

  /** Listen to a topic, or to `reset` (ask again) or `state` (of the stream). @param {string} topic @param {Listener} listener @returns {() => void} stops it */
  on(topic, listener) {
    const found = this.listeners.get(topic) ?? new Set();
    this.listeners.set(topic, found.add(listener));
    return () => found.delete(listener);
  }

  /** Begin, or begin anew. */
  start() {
    this.stop();
    this.isStarted = true;
    this.open();
    this.seenOrHidden();
  }

  /** End it. */
  stop() {
    clearTimeout(this.patience);
    this.isStarted = this.isLive = false;
    this.pause();
  }

  open() {
    const source = new EventSource(callUrl("events", { topics: TOPICS.join(",") }));
    this.source = source;
    source.onopen = () => this.opened();
    source.onerror = () => this.broken(source);
    for (const topic of [...TOPICS, "reset"]) {
      source.addEventListener(topic, (event) => this.told(topic, JSON.parse(event.data)));
    }
    source.addEventListener("bye", (event) => this.said(JSON.parse(event.data).reason));
  }

  opened() {
    this.isPaused = false;
    this.setLive(true);
    this.tell("reset", {}); // the first time too: a page was read before, and heard nothing since
    this.wasOpen = true;
  }

  /** @param {EventSource} source */
  broken(source) {
    if (source !== this.source) return;
    this.setLive(false);
    source.close(); // its own retries end at a status of 4xx or 5xx; ours do not
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), RETRY_MS);
  }

  /** @param {string} reason */
  said(reason) {
    this.tell("bye", reason);
  }

  /** @param {string} topic @param {any} data */
  told(topic, data) {
    this.heard = Date.now();
    this.tell(topic, data);
  }

  seenOrHidden() {
    if (!this.isStarted) return;
    clearTimeout(this.patience);
    if (document.hidden) {
      this.patience = setTimeout(() => this.pause(), HIDDEN_MS);
    } else if (!this.source || this.source.readyState === EventSource.CLOSED) {
      clearTimeout(this.retry);
      this.open();
    }
  }

  pause() {
    clearTimeout(this.retry);
    this.isPaused = true;
    this.source?.close();
    this.source = null;
  }

  /** @param {boolean} isLive */
  setLive(isLive) {
    if (isLive) this.heard = Date.now();
    if (isLive === this.isLive) return;
    this.isLive = isLive;
    this.tell("state", isLive);
  }

  /** @param {string} topic @param {any} data */
  tell(topic, data) {
    for (const listener of this.listeners.get(topic) ?? []) listener(data);
  }
}
