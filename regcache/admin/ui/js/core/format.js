/** How quantities are written: binary sizes, durations, rates, times. Unknown (null) is a dash. */
import { language, number, t } from "./i18n.js";

export const UNKNOWN = "–";
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
/** Between a number and its unit. */
const GAP = "\u00a0";

/** @typedef {number | null | undefined} Count */

/** A size in its number and its unit. @param {number} count @returns {[string, string]} */
export function sizeParts(count) {
  let value = count, unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return [number(value, digits), UNITS[unit]];
}

/** @param {Count} count bytes @returns {string} */
export function size(count) {
  return count == null ? UNKNOWN : sizeParts(count).join(GAP);
}

/** A size as it is typed: exactly that many bytes. @param {number} count @returns {string} such as 20GiB */
export function typedSize(count) {
  let value = count, unit = 0;
  while (value && value % 1024 === 0 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${UNITS[unit]}`;
}

/** @param {Count} count bytes a second @returns {string} */
export function rate(count) {
  return count == null ? UNKNOWN : `${size(count)}/s`;
}

/** @param {Count} count @returns {string} */
export function count(count) {
  return count == null ? UNKNOWN : number(count);
}

/** @param {Count} ratio 0 to 1 @param {number} [digits] @returns {string} */
export function percent(ratio, digits = 0) {
  return ratio == null ? UNKNOWN : number(ratio * 100, digits) + GAP + "%";
}

/** How long something took; nothing takes no time at all. @param {Count} ms milliseconds @returns {string} */
export function duration(ms) {
  if (ms == null) return UNKNOWN;
  if (ms < 1) return `<${GAP}1${GAP}ms`;
  if (ms < 1000) return number(ms, ms < 10 && ms % 1 ? 1 : 0) + GAP + "ms";
  if (ms < MINUTE) return number(ms / 1000, ms < 10_000 ? 2 : 1) + GAP + "s";
  if (ms < HOUR) return t("time.minutes", { minutes: Math.floor(ms / MINUTE), seconds: Math.floor((ms % MINUTE) / 1000) });
  if (ms < DAY) return t("time.hours", { hours: Math.floor(ms / HOUR), minutes: Math.floor((ms % HOUR) / MINUTE) });
  return t("time.days", { n: Math.floor(ms / DAY) });
}

/** How long ago, or how far ahead. @param {string | null | undefined} time RFC 3339 @returns {string} */
export function ago(time) {
  if (!time) return UNKNOWN;
  const ms = Date.parse(time) - Date.now(), far = Math.abs(ms);
  const format = new Intl.RelativeTimeFormat(language(), { numeric: "auto", style: "short" });
  if (far < MINUTE) return format.format(Math.round(ms / 1000), "second");
  if (far < HOUR) return format.format(Math.round(ms / MINUTE), "minute");
  if (far < DAY) return format.format(Math.round(ms / HOUR), "hour");
  return format.format(Math.round(ms / DAY), "day");
}

/** The exact time, for titles. @param {string | number | null | undefined} time @returns {string} */
export function exactTime(time) {
  if (time == null) return "";
  return new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));
}

/** Hours and minutes, with the day if it is another one. @param {string | number | null | undefined} time @returns {string} */
export function clock(time) {
  if (time == null) return UNKNOWN;
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const day = isToday ? {} : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(language(), { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(date);
}

/** Hours, minutes and seconds. @param {string | number} time @returns {string} */
export function timeOfDay(time) {
  return new Intl.DateTimeFormat(language(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(new Date(time));
}

/** A day. @param {string | number} time @returns {string} */
export function day(time) {
  return new Intl.DateTimeFormat(language(), { month: "short", day: "numeric" }).format(new Date(time));
}

/** A day of the calendar, whatever the zone. @param {string} text such as 2026-11-30 @returns {string} */
export function calendarDay(text) {
  return new Intl.DateTimeFormat(language(), { dateStyle: "medium" }).format(new Date(`${text}T12:00`));
}

/** A day as the API has it: 2026-11-30. @param {Date} date in local time @returns {string} */
export function dayText(date) {
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((each) => String(each).padStart(2, "0")).join("-");
}

/** A month with its year. @param {Date} date in it @returns {string} */
export function monthName(date) {
  return new Intl.DateTimeFormat(language(), { year: "numeric", month: "long" }).format(date);
}
