/**
 * XXH64 (seed 0) of bytes on disk: journal frames and blocks.
 *
 * I1  `loadChecksum` has resolved once in this thread before anything is summed; then all is synchronous.
 * I2  The sum depends on the bytes alone, not on how they are cut into parts.
 *
 * Computed by WebAssembly (xxhash-wasm), which must copy what it sums into its own memory: (m) 7.8 GB/s, that copy
 * included. One call over a range costs 0.1 µs beyond its bytes. The streaming form costs 0.7 µs to set up and 0.19 µs a
 * part, so parts below a page are gathered first (0.05 µs each) and larger ones go in as they lie. Large ranges go in
 * slices, so that a thread's WebAssembly memory stays below 100 KiB instead of growing to the largest frame.
 *
 * Keys are hashed by protocol/, in plain JavaScript, where the call would cost more than the hash.
 */
import { strict as assert } from 'node:assert';
import xxhash, { type XXHashAPI } from 'xxhash-wasm';

/** Largest piece handed to WebAssembly at once: fits a core's second-level cache twice. */
const SLICE_BYTES = 64 * 1024;
/** Parts below this are gathered. */
const GATHERED_BYTES_MAX = 4096;

const gathered = new Uint8Array(SLICE_BYTES);
/** A 64-bit sum as its two words, low word first: like every typed-array view here, this takes a little-endian machine. */
const sum = new BigUint64Array(1);
const sumWords = new Uint32Array(sum.buffer);

let loaded: XXHashAPI | undefined;

/** Compiles the WebAssembly module, once a thread. */
export async function loadChecksum(): Promise<void> {
  loaded ??= await xxhash();
}

/** The sum of `bytes[offset, offset + length)`: its low word to `out[0]`, its high word to `out[1]`. */
export function checksum64(bytes: Uint8Array, offset: number, length: number, out: Uint32Array): void {
  assert(offset >= 0 && length >= 0 && offset + length <= bytes.length, 'checksum range outside its bytes');
  const api = loadedApi();
  if (length <= SLICE_BYTES) {
    sum[0] = api.h64Raw(bytes.subarray(offset, offset + length));
  } else {
    const state = api.create64();
    updateSliced(state, bytes, offset, offset + length);
    sum[0] = state.digest();
  }
  out[0] = sumWords[0]!;
  out[1] = sumWords[1]!;
}

/** The sum of the parts' bytes one after the other, as if they were one range. */
export function checksum64Parts(parts: readonly Uint8Array[], out: Uint32Array): void {
  const state = loadedApi().create64();
  let gatheredBytes = 0;
  for (const part of parts) {
    if (
      gatheredBytes > 0 &&
      (part.length >= GATHERED_BYTES_MAX || gatheredBytes + part.length > SLICE_BYTES)
    ) {
      state.update(gathered.subarray(0, gatheredBytes));
      gatheredBytes = 0;
    }
    if (part.length >= GATHERED_BYTES_MAX) {
      updateSliced(state, part, 0, part.length);
    } else {
      gathered.set(part, gatheredBytes);
      gatheredBytes += part.length;
    }
  }
  if (gatheredBytes > 0) state.update(gathered.subarray(0, gatheredBytes));
  sum[0] = state.digest();
  out[0] = sumWords[0]!;
  out[1] = sumWords[1]!;
}

function loadedApi(): XXHashAPI {
  assert(loaded !== undefined, 'loadChecksum comes before the first checksum');
  return loaded;
}

function updateSliced(
  state: ReturnType<XXHashAPI['create64']>,
  bytes: Uint8Array,
  from: number,
  end: number,
): void {
  for (let at = from; at < end; at += SLICE_BYTES) {
    state.update(bytes.subarray(at, Math.min(at + SLICE_BYTES, end)));
  }
}
