/**
 * The error that protocol/ raises: bytes or values that break the contract, with a code of the closed set.
 * The message says what was tried, what was seen and what is allowed, and is meant to reach the user unchanged.
 */

import { ERROR_CODES, type ErrorCodeName } from './error-code.ts';

export class ProtocolError extends Error {
  readonly code: ErrorCodeName;
  readonly retryable: boolean;
  readonly indeterminate: boolean;

  constructor(code: ErrorCodeName, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ProtocolError';
    this.code = code;
    this.retryable = ERROR_CODES[code].retryable;
    this.indeterminate = ERROR_CODES[code].indeterminate;
  }
}

const SHOWN_CHARACTERS_MAX = 40;

/** A value as a message may show it: short, typed, on one line. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return `${JSON.stringify(shorten(value))} (string)`;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return `${shorten(String(value))} (${typeof value})`;
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name} of ${value.byteLength} bytes`;
  if (value instanceof Date) return `a Date (${Number(value)})`;
  return `a value of type ${typeof value}`;
}

function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}
