/** The web UI of regcache: puts its parts together. */
import { html, render } from "../vendor/lit-html/lit-html.js";
import { onRefused, Problem } from "./core/api.js";
import { EventStream, TOPICS } from "./core/events.js";
import { cutAgain } from "./core/hostile.js";
import { showBeginnings } from "./core/more.js";
import { loadTexts } from "./core/i18n.js";
import { paint, paintRarely, paintWith } from "./core/painting.js";
import { applyTheme } from "./core/preferences.js";
import { place } from "./core/router.js";
import { askSession, isSignedIn, loadStatus, shared, siteTitle, takeJob, takeStatus } from "./core/session.js";
import { hasEnded, mayGoOn } from "./core/session_end.js";
import { openPage } from "./pages/pages.js";
import { returnTo } from "./pages/login.js";
import { askAgain } from "./shell/session_over.js";
import { shell } from "./shell/shell.js";
import { menu } from "./shell/side_bar.js";
import { searchByKey } from "./shell/top_bar.js";
import { above, closeDialog, paintDialogs } from "./widgets/dialog.js";

/** Milliseconds after which a daemon that does not answer is said to be away. */
const AWAY_MS = 12_000;
const RETRY_MS = 3_000;

/** @typedef {import("./core/session.js").Session} Session */

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const stream = new EventStream();
/** @type {import("./pages/pages.js").Page | null} */
let page = null;
/** The word of the page that is open, and who it is for. */
let opened = "";
/** What is behind that word. */
let openedRest = "";
/** For whom the stream of events is. */
let toldTo = "";
/** @type {number | null} since when the daemon does not answer */
let awaySince = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;

function drawAll() {
  const isAlone = ["login", "link"].includes(openedPage());
  const shown = page?.view() ?? "";
  render(isAlone ? html`${shown}` : shell(stream, shown, start), root);
  paintDialogs();
  document.title = page ? `${page.title()} · ${siteTitle()}` : siteTitle();
}

/** Open the page of the address; the login, where somebody has to sign in. */
function navigate() {
  const asked = place(), needsLogin = !isSignedIn() && !["login", "link"].includes(asked.page);
  if (needsLogin) returnTo(location.hash);
  const now = needsLogin ? { ...asked, page: "login" } : asked;
  const word = wordOf(now.page);
  menu.isOpen = false;
  if (now.page === "link") above.close();
  const isCovered = page?.covers?.(now) ?? now.rest === openedRest;
  if (page?.moved && word === opened && isCovered) {
    openedRest = now.rest;
    page.moved(now);
    return paint();
  }
  leave();
  const isFirst = opened === "";
  opened = word;
  openedRest = now.rest;
  page = openPage(now);
  listen();
  paint();
  if (!isFirst) queueMicrotask(focusTitle);
}

/** What a page is opened for: another one, or somebody else, opens it anew. @param {string} page */
function wordOf(page) {
  return `${page} ${shared.session?.account ?? ""} ${shared.session?.role}`;
}

function openedPage() {
  return opened.split(" ")[0];
}

function leave() {
  closeDialog();
  page?.close?.();
  cutAgain();
  showBeginnings();
}

function focusTitle() {
  const title = document.querySelector("main h1");
  if (title instanceof HTMLElement) title.focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** What is told and asked as long as somebody is signed in; anew for somebody else. */
function listen() {
  const { account, role, via } = shared.session ?? {}, who = JSON.stringify([account, role, via]);
  if (!isSignedIn()) return stream.stop();
  if (stream.isStarted && who === toldTo) return;
  toldTo = who;
  stream.start();
  refresh(loadStatus);
}

/** Ask for everything anew: events were lost, and the daemon may be another one. */
async function reset() {
  await refresh(checkSession);
  if (above.shown) return;
  refresh(loadStatus);
  page?.refresh?.();
}

/** Look whether the session goes on. If it does not, the page stays as it is, and asks to sign in. */
async function checkSession() {
  const before = shared.session, now = await askSession();
  if (shared.session !== before) return; // the answer is older than who signed in, or out, meanwhile
  if (before && isSignedIn() && hasEnded(before, now)) return sessionEnded(before, now);
  const wasOver = above.shown !== null;
  shared.session = now;
  if (wasOver && before) return goOnAs(before);
  reopenForOthers();
}

/** Open the page anew if it was opened for somebody else. */
function reopenForOthers() {
  if (wordOf(openedPage()) !== opened) navigate();
  else paint();
}

/** @param {Session} before @param {Session} now */
function sessionEnded(before, now) {
  if (above.shown) return;
  stream.stop();
  askAgain(now, {
    signedIn: () => goOnAs(before),
    goOn: () => {
      shared.session = now;
      above.close();
      reopenForOthers();
    },
  });
  paint();
}

/** Somebody is signed in again; the page goes on, unless it is somebody else. @param {Session} before */
function goOnAs(before) {
  above.close();
  if (shared.session && mayGoOn(before, shared.session)) opened = wordOf(openedPage());
  reopenForOthers();
  listen();
  page?.refresh?.();
}

/** @param {() => Promise<void>} load */
async function refresh(load) {
  try {
    await load();
    awaySince = null;
  } catch (error) {
    noteAway(error);
  }
}

/** @param {unknown} error */
function noteAway(error) {
  if (!(error instanceof Problem)) throw error;
  if (!error.isAway) return;
  awaySince ??= Date.now();
  if (Date.now() - awaySince >= AWAY_MS) shared.away = error;
  clearTimeout(retry);
  retry = setTimeout(shared.session ? () => refresh(loadStatus) : start, RETRY_MS);
  paint();
}

stream.on("status", takeStatus);
stream.on("job", takeJob);
stream.on("reset", reset);
stream.on("state", (isLive) => {
  if (!isLive && stream.isStarted) refresh(loadStatus);
  paint();
});
stream.on("bye", () => refresh(checkSession));
for (const topic of TOPICS) {
  stream.on(topic, (data) => {
    page?.on?.[topic]?.(data);
    paintRarely();
  });
}
onRefused(() => {
  if (isSignedIn() && !above.shown) refresh(checkSession);
});
addEventListener("focus", () => {
  if (above.shown) refresh(checkSession); // somebody may have signed in with another window
});
addEventListener("hashchange", navigate);
addEventListener("querychange", navigate);
addEventListener("keydown", searchByKey);

async function start() {
  try {
    // Nothing is painted before it is known which page it is: a link is used before others are shown.
    [, shared.session] = await Promise.all([loadTexts(), askSession()]);
    shared.away = awaySince = null;
    navigate();
  } catch (error) {
    noteAway(error);
  }
}

applyTheme();
paintWith(drawAll);
start();
