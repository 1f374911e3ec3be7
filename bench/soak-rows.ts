/** The rows of a soak: every value is made from group, id and version, so that an answer says which version it is, and is checked whole. */
import type { CompactGroupSpec } from '../client/index.ts';

/** The values of a version. */
export interface SoakRow {
  readonly id: bigint;
  readonly version: bigint;
  readonly score: number;
  readonly vector: Float32Array;
  readonly text: string;
}

const VECTOR_LENGTH = 16;

export const SOAK_FEATURES: CompactGroupSpec['features'] = {
  version: 'int64',
  score: 'float64',
  vector: { type: 'vector', length: VECTOR_LENGTH },
  text: 'string',
};

/** What the text of each version of the row begins with, and no other bytes of any file. */
export function soakMark(group: number, id: number): string {
  return `#${group}/${id}/`;
}

/** Text of 0 to some 700 bytes, and of 20,000 for one row in 1,024: blocks of one page and of several. */
function textOf(group: number, id: number, version: number): string {
  const seed = (Math.imul(id + 1, 0x9e3779b1) ^ Math.imul(version, 0x85ebca6b) ^ group) >>> 0;
  const length = id % 1024 === 7 ? 20_000 : seed % 700;
  return `${soakMark(group, id)}${version}/`.padEnd(length, String.fromCharCode(97 + (seed % 26)));
}

export function soakRow(group: number, id: number, version: number): SoakRow {
  const vector = new Float32Array(VECTOR_LENGTH);
  for (let at = 0; at < VECTOR_LENGTH; at++) vector[at] = ((id + at) % 1000) + (version % 1000) / 8;
  return {
    id: BigInt(id),
    version: BigInt(version),
    score: id * 1000 + version,
    vector,
    text: textOf(group, id, version),
  };
}

/** What is wrong with the values that answered, or undefined; `found.version` says which they should be. */
export function valueFault(group: number, id: number, found: Omit<SoakRow, 'id'>): string | undefined {
  const version = Number(found.version);
  const expected = soakRow(group, id, version);
  if (found.score !== expected.score) return `row ${id}, version ${version}: score ${found.score}`;
  if (found.text !== expected.text)
    return `row ${id}, version ${version}: text of ${found.text.length} characters`;
  const { vector } = expected;
  for (let at = 0; at < vector.length; at++) {
    if (found.vector[at] !== vector[at])
      return `row ${id}, version ${version}: vector[${at}] ${found.vector[at]}`;
  }
  return undefined;
}
