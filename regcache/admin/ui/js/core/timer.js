/** Asks for something again and again, as long as somebody looks. */

/** @param {number} ms @param {() => void} ask @returns {() => void} ends it */
export function every(ms, ask) {
  const timer = setInterval(() => {
    if (!document.hidden) ask();
  }, ms);
  return () => clearInterval(timer);
}

/** Asks at once, and then no more often than so. @param {number} ms @param {() => void} ask @returns {() => void} */
export function rarely(ms, ask) {
  let last = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;
  return () => {
    if (later !== undefined) return;
    later = setTimeout(() => {
      later = undefined;
      last = performance.now();
      ask();
    }, Math.max(0, last + ms - performance.now()));
  };
}
