/**
 * What a soak expects of the node: of each row the last version that was acknowledged, and those that may or may not be there.
 *
 * I1  A row's versions are numbered from 1. Every value of a row is made from (group, id, number), so each answer tells which
 *     version it is, and is checked whole.
 * I2  One writer owns a row, and its event times rise with its numbers: the newest version is the one with the highest number.
 * I3  A write that was answered raises `acknowledged`. One whose outcome is unknown (the node was killed) leaves `sent` above it:
 *     until the next answered write the row may be any version from `acknowledged` to `sent`.
 */

import type { CompactGroupSpec } from '../client/index.ts';

/** Kinds of a version. */
export const PUT = 1;
export const DELETED = 2;

export class SoakModel {
  readonly sent: Uint32Array;
  readonly acknowledged: Uint32Array;
  /** By row and version: whether it is a put or a deletion. */
  private readonly deletions: Set<number>[];

  constructor(rows: number) {
    this.sent = new Uint32Array(rows);
    this.acknowledged = new Uint32Array(rows);
    this.deletions = Array.from({ length: rows }, () => new Set());
  }

  /** The number of a version about to be sent. */
  begin(row: number, kind: number): number {
    const number = this.sent[row]! + 1;
    this.sent[row] = number;
    if (kind === DELETED) this.deletions[row]!.add(number);
    return number;
  }

  acknowledge(row: number, number: number): void {
    this.acknowledged[row] = number;
  }

  /**
   * Why a row that answered `found` (a version, 0 for none) is wrong, or undefined: it must be a version that was acknowledged
   * before the question or sent before the answer, and the newest of them at some moment between.
   */
  fault(row: number, found: number, from: number, to: number): string | undefined {
    if (found !== 0) {
      if (found >= from && found <= to && !this.deletions[row]!.has(found)) return undefined;
      return `row ${row} is version ${found}; it may be ${from} to ${to}`;
    }
    if (from === 0) return undefined;
    for (let number = from; number <= to; number++) if (this.deletions[row]!.has(number)) return undefined;
    return `row ${row} is missing; it may be version ${from} to ${to}, none of them a deletion`;
  }
}

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

/** Text of 0 to some 700 bytes, and of 20,000 for one row in 1,024: blocks of one page and of several. */
function textOf(group: number, id: number, version: number): string {
  const seed = (Math.imul(id + 1, 0x9e3779b1) ^ Math.imul(version, 0x85ebca6b) ^ group) >>> 0;
  const length = id % 1024 === 7 ? 20_000 : seed % 700;
  return `${group}/${id}/${version}/`.padEnd(length, String.fromCharCode(97 + (seed % 26)));
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
