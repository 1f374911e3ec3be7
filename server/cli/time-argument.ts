/** Moments on the command line: ISO 8601, UTC without a zone, to the microsecond; or microseconds since 1970. */
import { InvalidArgumentError } from 'commander';

const ISO = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,6}))?(Z|[+-]\d{2}:\d{2})?)?$/;

/** Microseconds since 1970; NaN when the text names no moment. */
export function parseMicros(text: string): number {
  const micros = /^-?\d+$/.test(text) ? Number(text) : parseIso(text);
  return Number.isSafeInteger(micros) ? micros : Number.NaN;
}

/** For an option's value. */
export function momentArgument(text: string): number {
  const micros = parseMicros(text);
  if (!Number.isNaN(micros)) return micros;
  throw new InvalidArgumentError('A moment, as in 2026-01-31T12:00:00Z, or microseconds since 1970.');
}

function parseIso(text: string): number {
  const match = ISO.exec(text);
  if (match === null) return Number.NaN;
  const [, date, time = '00:00', fraction = '', zone = 'Z'] = match;
  return Date.parse(`${date}T${time}${zone}`) * 1000 + Number(fraction.padEnd(6, '0'));
}
