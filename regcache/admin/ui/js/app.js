/** The web UI of regcache: puts its parts together. */
import { html, render } from "../vendor/lit-html/lit-html.js";
import { onUnauthenticated, Problem } from "./core/api.js";
import { EventStream, TOPICS } from "./core/events.js";
import { cutAgain } from "./core/hostile.js";
import { loadTexts } from "./core/i18n.js";
import { paint, paintRarely, paintWith } from "./core/painting.js";
import { applyTheme } from "./core/preferences.js";
import { place } from "./core/router.js";
import { isSignedIn, loadSession, loadStatus, shared, takeJob, takeStatus } from "./core/session.js";
import { openPage } from "./pages/pages.js";
import { returnTo } from "./pages/login.js";
import { shell } from "./shell/shell.js";
import { menu, siteTitle } from "./shell/side_bar.js";
import { searchByKey } from "./shell/top_bar.js";
import { closeDialog, paintDialog } from "./widgets/dialog.js";

/** Milliseconds after which a daemon that does not answer is said to be away. */
const AWAY_MS = 12_000;
const RETRY_MS = 3_000;

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const stream = new EventStream();
/** @type {import("./pages/pages.js").Page | null} */
let page = null;
/** The word of the page that is open, and who it is for. */
let opened = "";
/** What is behind that word. */
let openedRest = "";
/** @type {number | null} since when the daemon does not answer */
let awaySince = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;

function drawAll() {
  const isAlone = ["login", "link"].includes(opened.split(" ")[0]);
  const shown = page?.view() ?? "";
  render(isAlone ? html`${shown}` : shell(stream, shown, start), root);
  paintDialog();
  document.title = page ? `${page.title()} · ${siteTitle()}` : siteTitle();
}

/** Open the page of the address; the login, where somebody has to sign in. */
function navigate() {
  const asked = place(), needsLogin = !isSignedIn() && !["login", "link"].includes(asked.page);
  if (needsLogin) returnTo(location.hash);
  const now = needsLogin ? { ...asked, page: "login" } : asked;
  const word = `${now.page} ${shared.session?.account ?? ""} ${shared.session?.role}`;
  menu.isOpen = false;
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
  if (isSignedIn() && !stream.isStarted) begin();
  paint();
  if (!isFirst) queueMicrotask(focusTitle);
}

function leave() {
  closeDialog();
  page?.close?.();
  cutAgain();
}

function focusTitle() {
  const title = document.querySelector("main h1");
  if (title instanceof HTMLElement) title.focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** What is told and asked as long as somebody is signed in. */
function begin() {
  stream.start();
  refresh(loadStatus);
}

/** Ask for everything anew: events were lost. */
function reset() {
  refresh(loadStatus);
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
  if (!isLive) refresh(loadStatus);
  paint();
});
stream.on("bye", () => loadSession().then(navigate, noteAway));
for (const topic of TOPICS) {
  stream.on(topic, (data) => {
    page?.on?.[topic]?.(data);
    paintRarely();
  });
}
onUnauthenticated(() => {
  if (!isSignedIn()) return;
  stream.stop();
  loadSession().then(navigate, noteAway);
});
addEventListener("hashchange", navigate);
addEventListener("querychange", navigate);
addEventListener("keydown", searchByKey);

async function start() {
  try {
    await Promise.all([loadTexts(), loadSession()]);
    shared.away = awaySince = null;
    navigate();
  } catch (error) {
    noteAway(error);
  }
}

applyTheme();
paintWith(drawAll);
start();
