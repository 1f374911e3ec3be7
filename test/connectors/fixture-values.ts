/**
 * What fixtures/make-fixtures.py wrote, said again in TypeScript, and a reader of whole sources for tests.
 */
import { fileURLToPath } from 'node:url';
import { formatColumnType } from '../../connectors/files/column-type.ts';
import { convertColumn } from '../../connectors/files/convert.ts';
import { SOURCE_START, type Source } from '../../connectors/files/source.ts';

/** The folder of the fixtures, seen from dist/test/connectors/. */
export const FIXTURES: string = fileURLToPath(new URL('../../../test/connectors/fixtures/', import.meta.url));

export interface Content {
  types: Record<string, string>;
  rows: Record<string, unknown>[];
}

/** Every row of a source as an object of converted values; closes the source. */
export async function readAll(source: Source, rowsMax: number): Promise<Content> {
  const names = source.columns.map((column) => column.name);
  const rows: Record<string, unknown>[] = [];
  for await (const batch of source.read(names, SOURCE_START, rowsMax)) {
    const columns = batch.columns.map((column, i) =>
      convertColumn(column, batch.rowCount, source.columns[i]!, {
        isTimestamp: source.inferredRows === undefined,
      }),
    );
    for (let i = 0; i < batch.rowCount; i++) {
      rows.push(Object.fromEntries(names.map((name, c) => [name, columns[c]![i]])));
    }
  }
  await source.close();
  return {
    types: Object.fromEntries(source.columns.map((column) => [column.name, formatColumnType(column)])),
    rows,
  };
}

export function expectedTypes(hasVector: boolean): Record<string, string> {
  return {
    id: 'int64',
    flag: 'bool',
    i8: 'int8',
    i16: 'int16',
    i32: 'int32',
    i64: 'int64',
    u8: 'int16',
    u16: 'int32',
    u32: 'int64',
    f32: 'float32',
    f64: 'float64',
    micros: 'timestamp',
    millis: 'timestamp',
    nanos: 'timestamp',
    day: 'timestamp',
    text: 'string',
    word: 'string',
    raw: 'bytes',
    price: 'float64',
    tags: 'list<string>',
    steps: 'list<int64>',
    nested: 'msgpack',
    ...(hasVector ? { vector: 'vector(3)' } : {}),
  };
}

const START_MICROS = 979_509_300_123_456;
const HOUR_MICROS = 3_600_000_000;
const DAY_MICROS = 24 * HOUR_MICROS;

/** Row i of the typed fixtures. */
export function expectedRow(i: number, hasVector: boolean): Record<string, unknown> {
  const micros = START_MICROS + i * HOUR_MICROS;
  const values: Record<string, unknown> = {
    flag: i % 2 === 0,
    i8: i - 3,
    i16: i * 1000 - 3000,
    i32: i * 100_000,
    i64: i * 1e12,
    u8: 250 + (i % 6),
    u16: 65_530 + (i % 6),
    u32: 4_294_967_290 + (i % 6),
    f32: i / 4,
    f64: i / 10,
    micros,
    millis: micros - (micros % 1000),
    nanos: micros,
    day: micros - (micros % DAY_MICROS),
    text: `zürich ${i}`,
    word: ['red', 'blue'][i % 2],
    raw: new Uint8Array([i, 0, 255]),
    price: i + 0.25,
    tags: Array.from({ length: i }, (_, k) => `t${k}`),
    steps: Array.from({ length: i }, (_, k) => k),
    nested: { a: i, b: String(i) },
  };
  const row = i === 3 ? Object.fromEntries(Object.keys(values).map((name) => [name, null])) : values;
  return {
    id: 9_007_199_254_740_993n + BigInt(i),
    ...row,
    ...(hasVector ? { vector: new Float32Array([i, i + 0.5, 0 - i]) } : {}),
  };
}
