/** Rows written as Arrow are the rows that were put: every type, nulls, projections, batches, older schema versions. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { RecordBatchReader, type Table, tableFromIPC } from 'apache-arrow';
import {
  ByteWriter,
  compileLayout,
  encodeKey,
  encodeRow,
  type FeatureSpec,
  type GroupSchema,
  type KeyColumn,
  type RowLayout,
  schemaFromSpec,
} from '../../protocol/index.ts';
import { chooseColumns } from '../../server/arrow-schema.ts';
import { ArrowWriter } from '../../server/arrow-writer.ts';
import { VersionMerge } from '../../storage/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { encodeRecords } from '../support/stored-records.ts';

const MESSAGE_BYTES_MAX = 1 << 24;

interface InputRow {
  readonly key: unknown;
  readonly eventTime?: number;
  readonly values: Record<string, unknown>;
  readonly layout?: RowLayout;
}

function schemaOf(key: KeyColumn[], features: FeatureSpec[]): GroupSchema {
  return schemaFromSpec({ name: 'g', key, features }, 1, 0);
}

/** The rows in a settled merge, in the order given. */
function mergeOf(schema: GroupSchema, rows: readonly InputRow[]): VersionMerge {
  const records = rows.map((row, index) => {
    const key = new ByteWriter();
    encodeKey(schema.key, row.key, key);
    const payload = new ByteWriter();
    encodeRow(row.layout ?? compileLayout(schema), row.values, payload);
    return {
      partition: 0,
      digestHi: index,
      key: key.finish(),
      eventTimeMicros: row.eventTime ?? index,
      lsn: index + 1,
      payload: payload.finish(),
    };
  });
  const merge = new VersionMerge();
  merge.begin(1, Uint16Array.of(0));
  merge.addRecords(encodeRecords(records));
  merge.finish(1, 0);
  assert.equal(merge.count, rows.length);
  return merge;
}

/** All rows as one Arrow stream of batches of at most `batchRows`. */
function written(
  schema: GroupSchema,
  rows: readonly InputRow[],
  options: { columns?: string[]; batchRows?: number; layouts?: RowLayout[]; messageBytesMax?: number } = {},
): Uint8Array {
  const merge = mergeOf(schema, rows);
  const layouts = new Map(
    [compileLayout(schema), ...(options.layouts ?? [])].map((l) => [l.schemaVersion, l]),
  );
  const writer = new ArrowWriter(
    schema,
    { of: (version) => layouts.get(version) },
    chooseColumns(schema, options.columns),
    options.messageBytesMax ?? MESSAGE_BYTES_MAX,
  );
  const parts: Uint8Array[] = [writer.schemaMessage];
  const send = (): void => {
    const bytes = new Uint8Array(writer.seal()).fill(0xaa);
    assert.ok(bytes.length + writer.schemaMessage.length <= (options.messageBytesMax ?? MESSAGE_BYTES_MAX));
    assert.equal(writer.write(bytes, 0), bytes.length);
    parts.push(bytes);
  };
  for (let row = 0; row < merge.count; ) {
    const limit = options.batchRows ?? merge.count;
    const taken = writer.append(merge, row, Math.min(merge.count, row + limit - writer.rowCount));
    row += taken;
    if (taken === 0 || writer.rowCount === limit) send();
  }
  if (writer.rowCount > 0) send();
  return Buffer.concat(parts);
}

function tableOf(bytes: Uint8Array): Table {
  return tableFromIPC(bytes);
}

/** A column's values as plain JavaScript. */
function column(table: Table, name: string): unknown[] {
  const vector = table.getChild(name);
  assert.ok(vector !== null, `there is a column ${name}`);
  return Array.from({ length: table.numRows }, (_, index) => plain(vector.get(index)));
}

function plain(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Symbol.iterator in value) return [...(value as Iterable<unknown>)].map(plain);
  return value;
}

const ID: KeyColumn[] = [{ name: 'id', type: 'int64' }];
const ALL_FEATURES: FeatureSpec[] = [
  { name: 'flag', type: 'bool' },
  { name: 'tiny', type: 'int8' },
  { name: 'small', type: 'int16' },
  { name: 'medium', type: 'int32' },
  { name: 'large', type: 'int64' },
  { name: 'single', type: 'float32' },
  { name: 'double', type: 'float64' },
  { name: 'when', type: 'timestamp' },
  { name: 'text', type: 'string' },
  { name: 'blob', type: 'bytes' },
  { name: 'embedding', type: 'vector', length: 3 },
  { name: 'flags', type: 'list', item: 'bool' },
  { name: 'shorts', type: 'list', item: 'int16' },
  { name: 'longs', type: 'list', item: 'int64' },
  { name: 'words', type: 'list', item: 'string' },
  { name: 'any', type: 'msgpack' },
];
const ALL_VALUES = {
  flag: true,
  tiny: -128,
  small: -32768,
  medium: -(2 ** 31),
  large: -(2n ** 63n),
  single: 1.5,
  double: -0.1,
  when: 1_234_567_890_123,
  text: 'grüße, 世界',
  blob: Uint8Array.of(0, 255, 7),
  embedding: Float32Array.of(1, -2, 3.5),
  flags: [true, false, true, true],
  shorts: [1, -2, 3],
  longs: [2n ** 62n, -1n],
  words: ['', 'a', 'zwölf'],
  any: { nested: [1, 'x'] },
};
const ALL_PLAIN: Record<string, unknown> = {
  flag: true,
  tiny: -128,
  small: -32768,
  medium: -(2 ** 31),
  large: -(2n ** 63n),
  single: 1.5,
  double: -0.1,
  when: 1_234_567_890.123,
  text: 'grüße, 世界',
  blob: '00ff07',
  embedding: [1, -2, 3.5],
  flags: [true, false, true, true],
  shorts: [1, -2, 3],
  longs: [2n ** 62n, -1n],
  words: ['', 'a', 'zwölf'],
};

test('every type arrives as it was put, and null as null', () => {
  const schema = schemaOf(ID, ALL_FEATURES);
  const nothing = Object.fromEntries(ALL_FEATURES.map(({ name }) => [name, null]));
  const empty = {
    ...nothing,
    text: '',
    blob: new Uint8Array(0),
    flags: [],
    shorts: [],
    longs: [],
    words: [],
  };
  const rows = [ALL_VALUES, nothing, ALL_VALUES, empty, nothing].map((values, index) => ({
    key: index,
    values,
  }));
  const table = tableOf(written(schema, rows));
  assert.equal(table.numRows, 5);
  assert.deepEqual(column(table, 'id'), [0n, 1n, 2n, 3n, 4n]);
  for (const { name } of ALL_FEATURES) {
    const values = column(table, name);
    if (name in ALL_PLAIN) {
      assert.deepEqual(values[0], ALL_PLAIN[name], name);
      assert.deepEqual(values[2], ALL_PLAIN[name], name);
    }
    assert.equal(values[1], null, name);
    assert.equal(values[4], null, name);
    assert.equal(
      table.getChild(name)?.nullCount,
      ['text', 'blob', 'flags', 'shorts', 'longs', 'words'].includes(name) ? 2 : 3,
    );
  }
  assert.equal(
    column(table, 'any')[0],
    Buffer.from(Uint8Array.of(0x81, 0xa6)).toString('hex') +
      Buffer.from('nested').toString('hex') +
      '9201a178',
  );
  assert.deepEqual(
    ['text', 'blob', 'flags', 'words'].map((name) => column(table, name)[3]),
    ['', '', [], []],
  );
});

test('the Arrow types are those the formats promise', () => {
  const key: KeyColumn[] = [
    { name: 'k1', type: 'string' },
    { name: 'k2', type: 'uuid' },
    { name: 'k3', type: 'timestamp' },
    { name: 'k4', type: 'bytes' },
    { name: 'k5', type: 'int64' },
  ];
  const { schema } = tableOf(written(schemaOf(key, ALL_FEATURES), []));
  const types = Object.fromEntries(
    schema.fields.map((field) => [field.name, `${field.type}${field.nullable ? '?' : ''}`]),
  );
  assert.deepEqual(types, {
    k1: 'Utf8',
    k2: 'FixedSizeBinary[16]',
    k3: 'Timestamp<MICROSECOND, UTC>',
    k4: 'Binary',
    k5: 'Int64',
    event_time: 'Timestamp<MICROSECOND, UTC>',
    flag: 'Bool?',
    tiny: 'Int8?',
    small: 'Int16?',
    medium: 'Int32?',
    large: 'Int64?',
    single: 'Float32?',
    double: 'Float64?',
    when: 'Timestamp<MICROSECOND, UTC>?',
    text: 'Utf8?',
    blob: 'Binary?',
    embedding: 'FixedSizeList[3]<Float32>?',
    flags: 'List<Bool>?',
    shorts: 'List<Int16>?',
    longs: 'List<Int64>?',
    words: 'List<Utf8>?',
    any: 'Binary?',
  });
});

test('keys of several columns are taken apart, aligned or not', () => {
  const key: KeyColumn[] = [
    { name: 'name', type: 'string' },
    { name: 'number', type: 'int64' },
    { name: 'uid', type: 'uuid' },
    { name: 'at', type: 'timestamp' },
    { name: 'raw', type: 'bytes' },
  ];
  const schema = schemaOf(key, []);
  const uuids = ['00112233-4455-6677-8899-aabbccddeeff', 'ffeeddcc-bbaa-9988-7766-554433221100'];
  const rows = [
    { key: ['ab', -5n, uuids[0], 1000, Uint8Array.of(1)], values: {} },
    { key: ['', 2n ** 60n, uuids[1], -1000, new Uint8Array(0)], values: {} },
    { key: ['x'.repeat(300), 0n, uuids[0], 2 ** 50, new Uint8Array(200).fill(9)], values: {} },
  ];
  const table = tableOf(written(schema, rows));
  assert.deepEqual(column(table, 'name'), ['ab', '', 'x'.repeat(300)]);
  assert.deepEqual(column(table, 'number'), [-5n, 2n ** 60n, 0n]);
  assert.deepEqual(
    column(table, 'uid'),
    [uuids[0], uuids[1], uuids[0]].map((uuid) => uuid?.replaceAll('-', '')),
  );
  assert.deepEqual(column(table, 'at'), [1, -1, 2 ** 50 / 1000]);
  assert.deepEqual(column(table, 'raw'), ['01', '', '09'.repeat(200)]);
  const part = tableOf(written(schema, rows, { columns: ['raw', 'number'] }));
  assert.deepEqual(part.schema.names, ['raw', 'number']);
  assert.deepEqual(column(part, 'number'), [-5n, 2n ** 60n, 0n]);
  assert.deepEqual(column(part, 'raw'), ['01', '', '09'.repeat(200)]);
});

test('only the columns asked for are sent, in that order', () => {
  const schema = schemaOf(ID, ALL_FEATURES);
  const rows = [0, 1, 2].map((key) => ({ key, eventTime: key * 1000, values: ALL_VALUES }));
  const table = tableOf(written(schema, rows, { columns: ['text', 'event_time', 'tiny', 'id'] }));
  assert.deepEqual(table.schema.names, ['text', 'event_time', 'tiny', 'id']);
  assert.deepEqual(column(table, 'event_time'), [0, 1, 2]);
  assert.deepEqual(column(table, 'tiny'), [-128, -128, -128]);
  assert.deepEqual(column(table, 'id'), [0n, 1n, 2n]);
});

test('unknown, repeated and no columns are refused', () => {
  const schema = schemaOf(ID, ALL_FEATURES);
  assert.throws(() => chooseColumns(schema, ['text', 'nope']), { code: 'FEATURE_NOT_FOUND' });
  assert.throws(() => chooseColumns(schema, ['text', 'text']), { code: 'MALFORMED_REQUEST' });
  assert.throws(() => chooseColumns(schema, []), { code: 'MALFORMED_REQUEST' });
});

test('a result without rows is a schema', () => {
  const table = tableOf(written(schemaOf(ID, ALL_FEATURES), []));
  assert.equal(table.numRows, 0);
  assert.equal(table.schema.fields.length, ALL_FEATURES.length + 2);
});

test('features that an older schema version had not are null, those since dropped are left out', () => {
  const old: GroupSchema = {
    ...schemaOf(ID, []),
    features: [
      { id: 1, name: 'kept', type: 'int32' },
      { id: 2, name: 'dropped', type: 'string' },
    ],
  };
  const added: GroupSchema['features'] = [
    { id: 3, name: 'number', type: 'int16' },
    { id: 1, name: 'kept', type: 'int32' },
    { id: 4, name: 'words', type: 'list', item: 'string' },
    { id: 5, name: 'embedding', type: 'vector', length: 2 },
    { id: 6, name: 'flag', type: 'bool' },
    { id: 7, name: 'text', type: 'string' },
  ];
  const schema: GroupSchema = { ...old, version: 2, features: added };
  const oldLayout = compileLayout(old);
  const fresh = { number: 7, kept: 8, words: ['w'], embedding: [1, 2], flag: true, text: 't' };
  const rows = [
    { key: 0, values: fresh },
    { key: 1, values: { kept: 1, dropped: 'gone' }, layout: oldLayout },
    { key: 2, values: { kept: null, dropped: null }, layout: oldLayout },
    { key: 3, values: fresh },
  ];
  const table = tableOf(written(schema, rows, { layouts: [oldLayout] }));
  assert.deepEqual(column(table, 'kept'), [8, 1, null, 8]);
  assert.deepEqual(column(table, 'number'), [7, null, null, 7]);
  assert.deepEqual(column(table, 'words'), [['w'], null, null, ['w']]);
  assert.deepEqual(column(table, 'embedding'), [[1, 2], null, null, [1, 2]]);
  assert.deepEqual(column(table, 'flag'), [true, null, null, true]);
  assert.deepEqual(column(table, 'text'), ['t', null, null, 't']);
  assert.equal(table.getChild('dropped'), null);
});

test('a version that the catalog lacks is our fault and says so', () => {
  const schema = schemaOf(ID, [{ name: 'a', type: 'int8' }]);
  const rows = [{ key: 0, values: { a: 1 }, layout: { ...compileLayout(schema), schemaVersion: 9 } }];
  assert.throws(() => written(schema, rows), { code: 'INTERNAL', message: /schema version 9/ });
});

test('batches of any size say the same', () => {
  const schema = schemaOf(ID, ALL_FEATURES);
  const rows = Array.from({ length: 2100 }, (_, key) => ({
    key,
    values:
      key % 3 === 0 ? {} : { ...ALL_VALUES, medium: key, text: 't'.repeat(key % 120), shorts: [key, key] },
  }));
  const whole = tableOf(written(schema, rows));
  for (const batchRows of [1, 7, 64, 1000, 1024, 2099]) {
    const bytes = written(schema, rows.slice(0, batchRows === 1 ? 40 : rows.length), { batchRows });
    const table = tableOf(bytes);
    const batches = [...RecordBatchReader.from(bytes)].map((batch) => batch.numRows);
    assert.ok(Math.max(...batches) === batchRows);
    for (const name of ['medium', 'text', 'shorts', 'flags', 'flag', 'embedding', 'words']) {
      assert.deepEqual(
        column(table, name),
        column(whole, name).slice(0, table.numRows),
        `${batchRows} ${name}`,
      );
    }
  }
});

test('a batch takes no more rows than its message may have bytes', () => {
  const schema = schemaOf(ID, [
    { name: 'text', type: 'string' },
    { name: 'embedding', type: 'vector', length: 64 },
  ]);
  const rows = Array.from({ length: 500 }, (_, key) => ({
    key,
    values: { text: 'x'.repeat((key * 37) % 3000), embedding: new Float32Array(64).fill(key) },
  }));
  const bytes = written(schema, rows, { messageBytesMax: 20_000 });
  const table = tableOf(bytes);
  assert.ok([...RecordBatchReader.from(bytes)].length > 30);
  assert.deepEqual(
    column(table, 'text').map((text) => (text as string).length),
    rows.map((row) => row.values.text.length),
  );
});

test('a row that can never fit a message is refused, before and while rows are read', () => {
  const wide = schemaOf(ID, [{ name: 'embedding', type: 'vector', length: 5000 }]);
  assert.throws(() => written(wide, [], { messageBytesMax: 20_000 }), { code: 'ROW_TOO_LARGE' });
  const long = schemaOf(ID, [{ name: 'text', type: 'string' }]);
  const rows = [{ key: 1, values: { text: 'x'.repeat(30_000) } }];
  assert.throws(() => written(long, rows, { messageBytesMax: 20_000 }), { code: 'ROW_TOO_LARGE' });
});

test('random rows of random schemas arrive as they were put', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 40; round++) {
    const features = ALL_FEATURES.filter(() => random.chance(0.6)).sort(() => (random.chance(0.5) ? 1 : -1));
    const schema = schemaOf(ID, features);
    const rows = Array.from({ length: random.below(300) }, (_, key) => ({
      key,
      values: Object.fromEntries(
        features.map(({ name }) => [name, random.chance(0.7) ? randomValue(name, random) : null]),
      ),
    }));
    const table = tableOf(written(schema, rows, { batchRows: 1 + random.below(100) }));
    for (const { name } of features) {
      if (name === 'any') continue;
      assert.deepEqual(
        column(table, name),
        rows.map((row) => plainInput(name, row.values[name])),
        `round ${round} ${name}`,
      );
    }
  }
});

function randomValue(name: string, random: SeededRandom): unknown {
  const length = random.below(random.chance(0.1) ? 200 : 6);
  switch (name) {
    case 'flag':
      return random.chance(0.5);
    case 'tiny':
      return random.below(256) - 128;
    case 'small':
      return random.below(65536) - 32768;
    case 'medium':
      return random.uint32() | 0;
    case 'large':
      return BigInt.asIntN(64, (BigInt(random.uint32()) << 32n) | BigInt(random.uint32()));
    case 'single':
      return Math.fround(random.uint32() / 7);
    case 'double':
      return random.uint32() / 7;
    case 'when':
      return random.uint32() * 1000;
    case 'text':
      return 'aé世'.repeat(length).slice(0, length);
    case 'blob':
      return random.bytes(length);
    case 'embedding':
      return Float32Array.from({ length: 3 }, () => random.uint32());
    case 'flags':
      return Array.from({ length }, () => random.chance(0.5));
    case 'shorts':
      return Array.from({ length }, () => random.below(65536) - 32768);
    case 'longs':
      return Array.from({ length }, () => BigInt(random.uint32()) * -3n);
    case 'words':
      return Array.from({ length }, () => 'wörter'.slice(0, random.below(6)));
    default:
      return { value: random.uint32() };
  }
}

function plainInput(name: string, value: unknown): unknown {
  if (value === null) return null;
  return name === 'when'
    ? (value as number) / 1000
    : plain(value instanceof Float32Array ? [...value] : value);
}
