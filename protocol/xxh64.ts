/**
 * XXH64 in 32-bit arithmetic: the digest of an entity key, the same 64 bits as the reference implementation gives.
 *
 * A digest is two u32 (low, high) everywhere in Millrace, so there is nothing to gain from BigInt (3–16 ns an
 * operation, unstable) or from WebAssembly, whose call plus the split of its BigInt result costs 80 ns a key.
 * Nothing is allocated. All intermediate values are signed 32-bit integers, which V8 keeps in registers.
 */

const PRIME1_LO = 0x85ebca87 | 0;
const PRIME1_HI = 0x9e3779b1 | 0;
const PRIME2_LO = 0x27d4eb4f | 0;
const PRIME2_HI = 0xc2b2ae3d | 0;
const PRIME3_LO = 0x9e3779f9 | 0;
const PRIME3_HI = 0x165667b1 | 0;
const PRIME4_LO = 0xc2b2ae63 | 0;
const PRIME4_HI = 0x85ebca77 | 0;
const PRIME5_LO = 0x165667c5 | 0;
const PRIME5_HI = 0x27d4eb2f | 0;

/** The 64-bit value under work. */
let lo = 0;
let hi = 0;

/** (lo, hi) = (aLo, aHi) × (bLo, bHi) modulo 2^64. */
function multiply(aLo: number, aHi: number, bLo: number, bHi: number): void {
  const a0 = aLo & 0xffff;
  const a1 = aLo >>> 16;
  const b0 = bLo & 0xffff;
  const b1 = bLo >>> 16;
  const low = Math.imul(a0, b0);
  const cross = Math.imul(a1, b0) + (low >>> 16);
  const middle = Math.imul(a0, b1) + (cross & 0xffff);
  hi = (Math.imul(a1, b1) + (cross >>> 16) + (middle >>> 16) + Math.imul(aLo, bHi) + Math.imul(aHi, bLo)) | 0;
  lo = (middle << 16) | (low & 0xffff);
}

/** Adds (aLo, aHi) to the value. */
function add(aLo: number, aHi: number): void {
  const sum = (lo + aLo) | 0;
  hi = (hi + aHi + (sum >>> 0 < aLo >>> 0 ? 1 : 0)) | 0;
  lo = sum;
}

/** Rotates the value left by 0 < count < 32. */
function rotate(count: number): void {
  const low = (lo << count) | (hi >>> (32 - count));
  hi = (hi << count) | (lo >>> (32 - count));
  lo = low;
}

/** The value becomes round(accumulator, input). */
function round(accLo: number, accHi: number, inputLo: number, inputHi: number): void {
  multiply(inputLo, inputHi, PRIME2_LO, PRIME2_HI);
  add(accLo, accHi);
  rotate(31);
  multiply(lo, hi, PRIME1_LO, PRIME1_HI);
}

function word(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24);
}

/** Writes the digest of bytes[offset, offset + length) to out[outIndex] (low) and out[outIndex + 1] (high). */
export function xxh64(
  bytes: Uint8Array,
  offset: number,
  length: number,
  seedLo: number,
  seedHi: number,
  out: Uint32Array,
  outIndex: number,
): void {
  const end = offset + length;
  let at = offset;
  if (length >= 32) {
    at = stripes(bytes, offset, end, seedLo | 0, seedHi | 0);
  } else {
    lo = seedLo | 0;
    hi = seedHi | 0;
    add(PRIME5_LO, PRIME5_HI);
  }
  add(length | 0, 0);
  tail(bytes, at, end);
  avalanche();
  out[outIndex] = lo;
  out[outIndex + 1] = hi;
}

/** Consumes whole stripes of 32 bytes, leaves the merged value and returns where they end. */
function stripes(bytes: Uint8Array, offset: number, end: number, seedLo: number, seedHi: number): number {
  lo = seedLo;
  hi = seedHi;
  add(PRIME2_LO, PRIME2_HI);
  let v2Lo = lo;
  let v2Hi = hi;
  add(PRIME1_LO, PRIME1_HI);
  let v1Lo = lo;
  let v1Hi = hi;
  let v3Lo = seedLo;
  let v3Hi = seedHi;
  lo = seedLo;
  hi = seedHi;
  add(-PRIME1_LO | 0, ~PRIME1_HI);
  let v4Lo = lo;
  let v4Hi = hi;
  let at = offset;
  for (; at + 32 <= end; at += 32) {
    round(v1Lo, v1Hi, word(bytes, at), word(bytes, at + 4));
    v1Lo = lo;
    v1Hi = hi;
    round(v2Lo, v2Hi, word(bytes, at + 8), word(bytes, at + 12));
    v2Lo = lo;
    v2Hi = hi;
    round(v3Lo, v3Hi, word(bytes, at + 16), word(bytes, at + 20));
    v3Lo = lo;
    v3Hi = hi;
    round(v4Lo, v4Hi, word(bytes, at + 24), word(bytes, at + 28));
    v4Lo = lo;
    v4Hi = hi;
  }
  lo = (v1Lo << 1) | (v1Hi >>> 31);
  hi = (v1Hi << 1) | (v1Lo >>> 31);
  add((v2Lo << 7) | (v2Hi >>> 25), (v2Hi << 7) | (v2Lo >>> 25));
  add((v3Lo << 12) | (v3Hi >>> 20), (v3Hi << 12) | (v3Lo >>> 20));
  add((v4Lo << 18) | (v4Hi >>> 14), (v4Hi << 18) | (v4Lo >>> 14));
  merge(v1Lo, v1Hi);
  merge(v2Lo, v2Hi);
  merge(v3Lo, v3Hi);
  merge(v4Lo, v4Hi);
  return at;
}

function merge(laneLo: number, laneHi: number): void {
  const beforeLo = lo;
  const beforeHi = hi;
  round(0, 0, laneLo, laneHi);
  multiply(lo ^ beforeLo, hi ^ beforeHi, PRIME1_LO, PRIME1_HI);
  add(PRIME4_LO, PRIME4_HI);
}

/** Mixes in the last 0..31 bytes: by 8, then 4, then single ones. */
function tail(bytes: Uint8Array, from: number, end: number): void {
  let at = from;
  for (; at + 8 <= end; at += 8) {
    const beforeLo = lo;
    const beforeHi = hi;
    round(0, 0, word(bytes, at), word(bytes, at + 4));
    lo ^= beforeLo;
    hi ^= beforeHi;
    rotate(27);
    multiply(lo, hi, PRIME1_LO, PRIME1_HI);
    add(PRIME4_LO, PRIME4_HI);
  }
  if (at + 4 <= end) {
    const beforeLo = lo;
    const beforeHi = hi;
    multiply(word(bytes, at), 0, PRIME1_LO, PRIME1_HI);
    lo ^= beforeLo;
    hi ^= beforeHi;
    rotate(23);
    multiply(lo, hi, PRIME2_LO, PRIME2_HI);
    add(PRIME3_LO, PRIME3_HI);
    at += 4;
  }
  for (; at < end; at++) {
    const beforeLo = lo;
    const beforeHi = hi;
    multiply(bytes[at]!, 0, PRIME5_LO, PRIME5_HI);
    lo ^= beforeLo;
    hi ^= beforeHi;
    rotate(11);
    multiply(lo, hi, PRIME1_LO, PRIME1_HI);
  }
}

function avalanche(): void {
  lo ^= hi >>> 1;
  multiply(lo, hi, PRIME2_LO, PRIME2_HI);
  lo ^= (lo >>> 29) | (hi << 3);
  hi ^= hi >>> 29;
  multiply(lo, hi, PRIME3_LO, PRIME3_HI);
  lo ^= hi;
}
