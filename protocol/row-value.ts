/**
 * Values of features: their JavaScript types, and the checks that turn a caller's value into one that a slot holds.
 *
 *   type                 in                                        out
 *   bool                 boolean                                   boolean
 *   int8, int16, int32   number (integer in range)                 number
 *   int64                number (safe integer) or bigint           bigint
 *   float32, float64     number (NaN and infinities too)           number
 *   timestamp            Date, or number or bigint of µs           number of µs
 *   string               string (well-formed)                      string
 *   bytes                Uint8Array                                Uint8Array, a copy
 *   vector               Float32Array or array of numbers          Float32Array, a copy
 *   list                 array or typed array, no nulls inside     array of the item's out type
 *   msgpack              what MessagePack holds                    the same
 *
 * null and undefined are null. A value outside its type throws TYPE_MISMATCH: nothing is rounded or wrapped, but
 * float32 takes the nearest float32 of any number.
 */

import { describeValue, ProtocolError } from './protocol-error.ts';
import {
  type FeatureSlot,
  KIND_BOOL,
  KIND_BYTES,
  KIND_FLOAT32,
  KIND_FLOAT64,
  KIND_INT8,
  KIND_INT16,
  KIND_INT32,
  KIND_INT64,
  KIND_LIST,
  KIND_MSGPACK,
  KIND_STRING,
  KIND_TIMESTAMP,
  KIND_VECTOR,
  typeText,
} from './row-layout.ts';

/** What MessagePack can hold beside itself in arrays and maps. */
export type MessagePackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Date
  | MessagePackValue[]
  | { [name: string]: MessagePackValue };

export type ListItem = boolean | number | bigint | string;

/** What a decoded row holds under a feature's name. */
export type FeatureValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float32Array
  | ListItem[]
  | MessagePackValue;

const ALLOWED_OF_KIND: readonly string[] = (() => {
  const allowed: string[] = [];
  allowed[KIND_BOOL] = 'true or false';
  allowed[KIND_INT8] = 'an integer from -128 to 127';
  allowed[KIND_INT16] = 'an integer from -32768 to 32767';
  allowed[KIND_INT32] = 'an integer from -2147483648 to 2147483647';
  allowed[KIND_INT64] = 'an integer: a number within ±(2^53 − 1) or a bigint within 64 bits';
  allowed[KIND_FLOAT32] = 'a number';
  allowed[KIND_FLOAT64] = 'a number';
  allowed[KIND_TIMESTAMP] = 'a Date, or an integer of microseconds since 1970 within ±(2^53 − 1)';
  allowed[KIND_VECTOR] = 'a Float32Array or array of numbers of exactly the length';
  allowed[KIND_STRING] = 'a string of well-formed Unicode';
  allowed[KIND_BYTES] = 'a Uint8Array';
  allowed[KIND_LIST] = 'an array without nulls';
  allowed[KIND_MSGPACK] = 'a value that MessagePack holds';
  return allowed;
})();

export function refuseValue(slot: FeatureSlot, value: unknown): never {
  throw new ProtocolError(
    'TYPE_MISMATCH',
    `feature "${slot.name}" (${typeText(slot)}) got ${describeValue(value)}; allowed: ${ALLOWED_OF_KIND[slot.kind]}`,
  );
}

export function refuseItem(slot: FeatureSlot, value: unknown, index: number): never {
  const allowed = ALLOWED_OF_KIND[slot.kind === KIND_LIST ? slot.itemKind : KIND_FLOAT32];
  throw new ProtocolError(
    'TYPE_MISMATCH',
    `feature "${slot.name}" (${typeText(slot)}) got ${describeValue(value)} as item ${index}; allowed: ${allowed}`,
  );
}
