/** Rows to bytes: objects and columns give the same chunk, bad rows are named, chunks are bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Group, type PutRow } from '../../client/index.ts';
import { PUT_CHUNK_BYTES, PUT_CHUNK_ROWS } from '../../client/limits.ts';
import { columnSource, type RowChunk, type RowSource, rowSource } from '../../client/row-chunk.ts';
import {
  decodeKey,
  decodeRow,
  type FeatureSpec,
  type KeyColumn,
  schemaFromSpec,
} from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';

const NOW = 1_700_000_000_000_000;

function groupOf(key: KeyColumn[], features: FeatureSpec[]): Group<unknown, unknown, unknown> {
  return new Group(schemaFromSpec({ name: 'g', key, features }, 3, 0));
}

const GROUP = groupOf(
  [
    { name: 'user', type: 'string' },
    { name: 'item', type: 'int64' },
  ],
  [
    { name: 'score', type: 'float64' },
    { name: 'embedding', type: 'vector', length: 3 },
    { name: 'label', type: 'string' },
  ],
);

const ROWS: PutRow[] = Array.from({ length: 10 }, (_, i) => ({
  user: `u${i}`,
  item: i,
  event_time: i % 2 === 0 ? 1000 * i : undefined,
  score: i / 3,
  embedding: [i, i + 1, i + 2],
  label: i % 3 === 0 ? null : `label ${i}`,
}));

/** What a chunk holds, decoded. */
function contents(group: Group<unknown, unknown, unknown>, chunk: RowChunk): unknown[] {
  const { keys, rows, rowOffsets, eventTimes } = chunk;
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  return Array.from({ length: chunk.count }, (_, i) => ({
    ...decodeKey(group.schema.key, keys.bytes, keys.offsets[i]!, keys.offsets[i + 1]! - keys.offsets[i]!),
    event_time: eventTimes[i],
    ...decodeRow(group.layout, view, rowOffsets[i]!),
  }));
}

function chunksOf(source: RowSource): RowChunk[] {
  const chunks: RowChunk[] = [];
  for (let from = 0; from < source.count; from += chunks.at(-1)!.count) chunks.push(source.encode(from));
  return chunks;
}

test('objects become keys, event times and rows', () => {
  const [chunk] = chunksOf(rowSource(GROUP, ROWS, NOW));
  assert.deepEqual(contents(GROUP, chunk!)[3], {
    user: 'u3',
    item: 3n,
    event_time: NOW,
    score: 1,
    embedding: Float32Array.of(3, 4, 5),
    label: null,
  });
  assert.equal((contents(GROUP, chunk!)[4] as { event_time: number }).event_time, 4000);
});

test('columns give the bytes that objects give', () => {
  const [expected] = chunksOf(rowSource(GROUP, ROWS, NOW));
  const column = (name: string): unknown[] => ROWS.map((row) => row[name]);
  const scalars = {
    user: column('user'),
    item: Float64Array.from({ length: 10 }, (_, i) => i),
    event_time: column('event_time'),
    score: Float64Array.from({ length: 10 }, (_, i) => i / 3),
    label: column('label'),
  };
  const flat = Float32Array.from({ length: 30 }, (_, i) => Math.floor(i / 3) + (i % 3));
  for (const embedding of [column('embedding'), flat]) {
    const [chunk] = chunksOf(columnSource(GROUP, { ...scalars, embedding }, NOW));
    assert.deepEqual(contents(GROUP, chunk!), contents(GROUP, expected!));
    const rowBytes = expected!.rowOffsets[10]!;
    assert.deepEqual(chunk!.rows.subarray(0, rowBytes), expected!.rows.subarray(0, rowBytes));
  }
});

test('a chunk ends at its bound of rows or bytes, and nothing is lost between chunks', () => {
  const narrow = groupOf([{ name: 'id', type: 'int64' }], [{ name: 'a', type: 'int8' }]);
  const many = Array.from({ length: 2 * PUT_CHUNK_ROWS + 3 }, (_, id) => ({ id, a: 1 }));
  const counts = (source: RowSource): number[] => chunksOf(source).map(({ count }) => count);
  assert.deepEqual(counts(rowSource(narrow, many, NOW)), [PUT_CHUNK_ROWS, PUT_CHUNK_ROWS, 3]);
  const id = many.map((row) => row.id);
  assert.deepEqual(counts(columnSource(narrow, { id }, NOW)), [PUT_CHUNK_ROWS, PUT_CHUNK_ROWS, 3]);

  const wide = groupOf([{ name: 'id', type: 'int64' }], [{ name: 's', type: 'bytes' }]);
  const third = Math.floor(PUT_CHUNK_BYTES / 3);
  const large = Array.from({ length: 7 }, (_, row) => ({ id: row, s: new Uint8Array(third) }));
  assert.deepEqual(counts(rowSource(wide, large, NOW)), [3, 3, 1]);
});

test('a bad row is named by its position in the input, whatever its chunk', () => {
  const narrow = groupOf([{ name: 'id', type: 'int64' }], [{ name: 'a', type: 'int8' }]);
  const rows: PutRow[] = Array.from({ length: PUT_CHUNK_ROWS + 10 }, (_, id) => ({ id, a: 1 }));
  const at = PUT_CHUNK_ROWS + 4;
  const named = new RegExp(`^row ${at}: `);
  const encodeBoth = (bad: PutRow): (() => void)[] => {
    const all = rows.with(at, bad);
    const columns = {
      id: all.map((row) => row['id']),
      a: all.map((row) => row['a']),
      event_time: all.map((row) => row['event_time']),
    };
    return [
      () => rowSource(narrow, all, NOW).encode(PUT_CHUNK_ROWS),
      () => columnSource(narrow, columns, NOW).encode(PUT_CHUNK_ROWS),
    ];
  };
  for (const encode of encodeBoth({ id: at, a: 128 }))
    assert.throws(encode, namedFailure('TYPE_MISMATCH', named));
  for (const encode of encodeBoth({ id: Number.NaN }))
    assert.throws(encode, namedFailure('KEY_INVALID', named));
  for (const encode of encodeBoth({ id: at, event_time: 'noon' })) {
    assert.throws(encode, namedFailure('EVENT_TIME_INVALID', named));
  }
});

/** A code and a row's number, of a ProtocolError or a MillraceError: the operation makes one of both. */
function namedFailure(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    const { code: actual, message: text } = error as { code: string; message: string };
    assert.equal(actual, code);
    assert.match(text, message);
    return true;
  };
}

test('a field that the group does not have is refused by row and name, not dropped', () => {
  const narrow = groupOf([{ name: 'id', type: 'int64' }], [{ name: 'a', type: 'int8' }]);
  const refuse = (rows: PutRow[], message: RegExp): void => {
    assert.throws(() => rowSource(narrow, rows, NOW).encode(0), failure('ROW_INVALID', message));
  };
  refuse([{ id: 1, a: 1, bogus: 2 }], /^row 0: group "g" has no column "bogus"$/);
  refuse([{ id: 1, a: 1 }, { id: 2 }, { id: 3, A: 1 }], /^row 2: .* no column "A"$/);
  refuse([{ idd: 1, a: 1 }], /^row 0: .* no column "idd"$/);
  const shapes = [{ id: 1, a: 1 }, { a: 2, id: 2 }, { id: 3 }, { id: 4, event_time: 7, a: null }];
  assert.equal(rowSource(narrow, shapes, NOW).encode(0).count, 4);
});

test('columns that do not fit the group or each other are refused', () => {
  const id = [1, 2, 3];
  const narrow = groupOf([{ name: 'id', type: 'int64' }], [{ name: 'v', type: 'vector', length: 2 }]);
  const refuse = (columns: Record<string, ArrayLike<unknown>>, message: RegExp): void => {
    assert.throws(() => columnSource(narrow, columns, NOW), failure('ROW_INVALID', message));
  };
  refuse({ v: [] }, /no column for "id"/);
  refuse({ id, x: [1, 2, 3] }, /no column "x"/);
  refuse({ id, v: new Float32Array(5) }, /"v" has 5 values; 6 are needed for 3 rows/);
  refuse({ id, event_time: [1] }, /"event_time" has 1 values/);
});
