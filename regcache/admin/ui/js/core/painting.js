/** When the page is painted: soon after something changed, and not too often. */

/** Milliseconds between two paintings that nobody at the keyboard asked for. */
const RARELY_MS = 500;

/** @type {() => void} */
let draw = () => {};
let isWanted = false;
let last = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let later;

/** Say what paints. @param {() => void} paintAll */
export function paintWith(paintAll) {
  draw = paintAll;
}

/** Paint at the next frame: somebody did something. */
export function paint() {
  if (isWanted) return;
  isWanted = true;
  queueMicrotask(() => {
    isWanted = false;
    clearTimeout(later);
    later = undefined;
    last = performance.now();
    draw();
  });
}

/** Paint at most twice a second: the daemon told something. */
export function paintRarely() {
  if (isWanted || later !== undefined) return;
  later = setTimeout(paint, Math.max(0, last + RARELY_MS - performance.now()));
}
