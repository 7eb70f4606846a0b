/** What somebody chose in this browser: language, colours, whether `/` searches. */

/** @typedef {"auto" | "light" | "dark"} Theme */

/** @param {string} name @returns {string | null} */
function read(name) {
  try {
    return localStorage.getItem(`regcache.${name}`);
  } catch {
    return null; // storage may be forbidden; then nothing is remembered
  }
}

/** @param {string} name @param {string} value */
function write(name, value) {
  try {
    localStorage.setItem(`regcache.${name}`, value);
  } catch {
    // it holds until the page is left
  }
}

const asked = new URLSearchParams(location.search);

/** @returns {Theme} */
function readTheme() {
  const found = asked.get("theme") ?? read("theme");
  return found === "light" || found === "dark" ? found : "auto";
}

/** @returns {string} a language that there are texts for */
function readLanguage() {
  const wanted = [asked.get("lang"), read("language"), ...navigator.languages];
  for (const each of wanted) {
    if (each?.startsWith("zh")) return "zh-CN";
    if (each?.startsWith("en")) return "en";
  }
  return "en";
}

export const preferences = {
  language: readLanguage(),
  theme: readTheme(),
  hasSlash: read("slash") !== "off",
};

/** @param {string} language */
export function chooseLanguage(language) {
  preferences.language = language;
  write("language", language);
}

/** Light, dark, or as the system: the next one. */
export function nextTheme() {
  /** @type {Record<Theme, Theme>} */
  const following = { auto: "light", light: "dark", dark: "auto" };
  preferences.theme = following[preferences.theme];
  write("theme", preferences.theme);
  applyTheme();
}

/** Have the page in the chosen colours. */
export function applyTheme() {
  document.documentElement.dataset.theme = preferences.theme;
}

/** Whether `/` leads to the search (WCAG 2.1.4). @param {boolean} isOn */
export function chooseSlash(isOn) {
  preferences.hasSlash = isOn;
  write("slash", isOn ? "on" : "off");
}
