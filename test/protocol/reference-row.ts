/**
 * The row codec's slow twin: written from docs/formats/row.md alone, with BigInt, arrays and no shared code, so that a
 * mistake in the fast one does not repeat here.
 */

import type { Feature, GroupSchema } from '../../protocol/index.ts';
import { encodeMessagePack } from '../../protocol/index.ts';

const WIDTH: Record<string, number> = {
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float32: 4,
  float64: 8,
  timestamp: 8,
  vector: 4,
  string: 8,
  bytes: 8,
  list: 8,
  msgpack: 8,
};
const VARIABLE = new Set(['string', 'bytes', 'list', 'msgpack']);

/** The row's bytes, as a plain array of numbers. */
export function referenceRow(schema: GroupSchema, values: Record<string, unknown>): number[] {
  const features = schema.features;
  const bitmap = new Array<number>(8 * Math.ceil(Math.ceil(features.length / 8) / 8)).fill(0);
  const offsets = new Map<string, number>();
  let end = 8 + bitmap.length;
  for (const width of [8, 4, 2, 1]) {
    for (const feature of features.filter((one) => WIDTH[one.type] === width)) {
      offsets.set(feature.name, end);
      end += width * (feature.length ?? 1);
    }
  }
  const row = new Array<number>(8 * Math.ceil(end / 8)).fill(0);
  features.forEach((feature, index) => {
    const value = values[feature.name] ?? null;
    if (value === null) return;
    bitmap[index >> 3]! |= 1 << (index & 7);
    const at = offsets.get(feature.name)!;
    if (!VARIABLE.has(feature.type)) {
      put(row, at, fixedBytes(feature, value));
      return;
    }
    while (feature.type === 'list' && row.length % 8 !== 0) row.push(0);
    const bytes = variableBytes(feature, value);
    put(row, at, [...little(BigInt(row.length), 4), ...little(BigInt(bytes.length), 4)]);
    for (const byte of bytes) row.push(byte);
  });
  while (row.length % 8 !== 0) row.push(0);
  put(row, 0, [...little(BigInt(schema.version), 2), 0, 0, ...little(BigInt(row.length), 4), ...bitmap]);
  return row;
}

function put(row: number[], at: number, bytes: number[]): void {
  bytes.forEach((byte, index) => {
    row[at + index] = byte;
  });
}

function little(value: bigint, width: number): number[] {
  return Array.from({ length: width }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
}

function fixedBytes(feature: Feature, value: unknown): number[] {
  if (feature.type !== 'vector') return scalarBytes(feature.type, value);
  return Array.from(value as ArrayLike<number>).flatMap((item) => scalarBytes('float32', item));
}

function scalarBytes(type: string, value: unknown): number[] {
  if (type === 'bool') return [value === true ? 1 : 0];
  if (type === 'float32') {
    return Number.isNaN(value)
      ? [0, 0, 0xc0, 0x7f]
      : [...Buffer.from(Float32Array.of(value as number).buffer)];
  }
  if (type === 'float64') {
    return Number.isNaN(value)
      ? [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]
      : [...Buffer.from(Float64Array.of(value as number).buffer)];
  }
  const integer = value instanceof Date ? BigInt(value.getTime()) * 1000n : BigInt(value as number | bigint);
  return little(BigInt.asUintN(64, integer), WIDTH[type]!);
}

function variableBytes(feature: Feature, value: unknown): number[] {
  if (feature.type === 'string') return [...new TextEncoder().encode(value as string)];
  if (feature.type === 'bytes') return [...(value as Uint8Array)];
  if (feature.type === 'msgpack') return [...encodeMessagePack(value)];
  const items = Array.from(value as ArrayLike<unknown>);
  const head = [...little(BigInt(items.length), 4), 0, 0, 0, 0];
  if (feature.item !== 'string')
    return [...head, ...items.flatMap((item) => scalarBytes(feature.item!, item))];
  const texts = items.map((item) => [...new TextEncoder().encode(item as string)]);
  let end = 0;
  const ends = texts.flatMap((text) => {
    end += text.length;
    return little(BigInt(end), 4);
  });
  return [...head, ...ends, ...texts.flat()];
}
