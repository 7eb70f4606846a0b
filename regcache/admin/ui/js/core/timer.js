/** Asks for something again and again, as long as somebody looks. */

/** @param {number} ms @param {() => void} ask @returns {() => void} ends it */
export function every(ms, ask) {
  const timer = setInterval(() => {
    if (!document.hidden) ask();
  }, ms);
  return () => clearInterval(timer);
}
