/** UUIDs: 16 bytes in the order of their text form (RFC 9562), lower-case text with hyphens out. */

import type { ByteWriter } from './byte-writer.ts';

export const UUID_BYTES = 16;

const TEXT_LENGTH = 36;
/** Where each byte's two hex digits begin in the text form. */
const DIGITS_AT: readonly number[] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Appends a UUID given as text or as 16 bytes; false, with nothing appended, when it is neither. */
export function appendUuid(value: unknown, writer: ByteWriter): boolean {
  if (value instanceof Uint8Array) {
    if (value.length !== UUID_BYTES) return false;
    writer.raw(value);
    return true;
  }
  if (typeof value !== 'string' || value.length !== TEXT_LENGTH || !hasHyphens(value)) return false;
  const offset = writer.reserveUnzeroed(UUID_BYTES);
  const bytes = writer.bytes;
  for (let index = 0; index < UUID_BYTES; index++) {
    const at = DIGITS_AT[index]!;
    const byte = (hexDigit(value.charCodeAt(at)) << 4) | hexDigit(value.charCodeAt(at + 1));
    if (byte < 0) {
      writer.truncate(offset);
      return false;
    }
    bytes[offset + index] = byte;
  }
  return true;
}

export function readUuid(bytes: Uint8Array, offset: number): string {
  let text = '';
  for (let index = 0; index < UUID_BYTES; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text += '-';
    text += HEX[bytes[offset + index]!];
  }
  return text;
}

function hasHyphens(text: string): boolean {
  return text[8] === '-' && text[13] === '-' && text[18] === '-' && text[23] === '-';
}

/** The digit's value, or −1, which keeps the byte it goes into negative. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
