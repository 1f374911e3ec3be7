/** Keys: values become bytes that stand for nothing else, and bytes from outside are checked. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ByteWriter,
  decodeKey,
  decodeKeyInto,
  encodeKey,
  fixedKeyBytes,
  KEY_TYPES,
  type KeyColumn,
  type KeyType,
  timestampMicros,
  verifyKey,
} from '../../protocol/index.ts';
import { refusal } from './frames.ts';
import { announcedSeed } from './seed.ts';

const COLUMNS: Record<KeyType, KeyColumn[]> = Object.fromEntries(
  KEY_TYPES.map((type) => [type, [{ name: 'k', type }]]),
) as Record<KeyType, KeyColumn[]>;

function encoded(columns: KeyColumn[], values: unknown): Uint8Array {
  const writer = new ByteWriter();
  encodeKey(columns, values, writer);
  return writer.finish();
}

function hex(columns: KeyColumn[], values: unknown): string {
  return Buffer.from(encoded(columns, values)).toString('hex');
}

const VALUES: Record<KeyType, fc.Arbitrary<unknown>> = {
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  string: fc.string({ unit: 'grapheme', maxLength: 30 }),
  bytes: fc.uint8Array({ maxLength: 40 }),
  uuid: fc.uuid(),
  timestamp: fc.maxSafeInteger(),
};

const KEYS = fc
  .array(fc.constantFrom(...KEY_TYPES), { minLength: 1, maxLength: 5 })
  .chain((types) => fc.tuple(fc.constant(types), fc.tuple(...types.map((type) => VALUES[type]))))
  .map(([types, values]) => ({
    columns: types.map((type, index): KeyColumn => ({ name: `c${index}`, type })),
    values: values as unknown[],
  }));

test('any key survives, by position and by name, and is verified', () => {
  const seed = announcedSeed('key round trip');
  fc.assert(
    fc.property(KEYS, ({ columns, values }) => {
      const byName = Object.fromEntries(columns.map((column, index) => [column.name, values[index]]));
      const bytes = encoded(columns, values);
      assert.deepEqual(encoded(columns, byName), bytes);
      verifyKey(columns, bytes, 0, bytes.length);
      assert.deepEqual(decodeKey(columns, bytes, 0, bytes.length), byName);
      const decoded: unknown[] = [];
      decodeKeyInto(columns, bytes, 0, bytes.length, decoded);
      assert.deepEqual(decoded, values);
      const fixed = fixedKeyBytes(columns);
      assert.ok(fixed === 0 || fixed === bytes.length);
    }),
    { seed, numRuns: 1000 },
  );
});

test('two keys have the same bytes only when they are the same', () => {
  const columns: KeyColumn[] = [
    { name: 'a', type: 'string' },
    { name: 'b', type: 'bytes' },
  ];
  const seed = announcedSeed('keys are injective');
  const part = fc.constantFrom('', 'a', 'ab', 'b', '\u0001', '\u0000\u0001a');
  fc.assert(
    fc.property(part, part, part, part, (a, b, c, d) => {
      const first = hex(columns, [a, Buffer.from(b)]);
      const second = hex(columns, [c, Buffer.from(d)]);
      assert.equal(first === second, a === c && b === d);
    }),
    { seed, numRuns: 500 },
  );
});

test('the bytes are those of the document', () => {
  assert.equal(hex(COLUMNS.int64, 258), '0201000000000000');
  assert.equal(hex(COLUMNS.int64, -1n), 'ffffffffffffffff');
  assert.equal(hex(COLUMNS.timestamp, new Date(1)), 'e803000000000000');
  assert.equal(hex(COLUMNS.string, 'JFK'), '03004a464b');
  assert.equal(hex(COLUMNS.string, ''), '0000');
  assert.equal(hex(COLUMNS.bytes, Uint8Array.of(7)), '010007');
  assert.equal(hex(COLUMNS.uuid, '123e4567-e89b-12d3-a456-426614174000'), '123e4567e89b12d3a456426614174000');
});

test('the forms a value may take are one key', () => {
  assert.equal(hex(COLUMNS.int64, 5), hex(COLUMNS.int64, 5n));
  assert.equal(hex(COLUMNS.int64, 5), hex(COLUMNS.int64, [5]));
  assert.equal(hex(COLUMNS.int64, 5), hex(COLUMNS.int64, { k: 5, other: 1 }));
  assert.equal(hex(COLUMNS.timestamp, 1000), hex(COLUMNS.timestamp, new Date(1)));
  assert.equal(hex(COLUMNS.timestamp, 1000n), hex(COLUMNS.timestamp, [new Date(1)]));
});

test('values outside their type are refused with the column, the value and what is allowed', () => {
  const cases: [KeyType, unknown[]][] = [
    ['int64', [Number.NaN, 1.5, 2 ** 53, Number.POSITIVE_INFINITY, '5', true, 2n ** 63n, null, undefined]],
    ['string', [5, null, undefined, '\ud800']],
    ['bytes', ['abc', null]],
    ['uuid', ['123', 5, null, new Uint8Array(3)]],
    ['timestamp', [Number.NaN, 1.5, 2 ** 53, new Date(Number.NaN), '2020', null, 2n ** 60n]],
  ];
  for (const [type, values] of cases) {
    for (const value of values) {
      const writer = new ByteWriter();
      writer.u8(1);
      assert.throws(
        () => encodeKey(COLUMNS[type], [value], writer),
        refusal('KEY_INVALID', /key column "k" \(\w+\) got .*allowed:/),
      );
      assert.equal(writer.length, 1);
    }
  }
});

test('a key of the wrong shape is refused', () => {
  const two: KeyColumn[] = [
    { name: 'a', type: 'int64' },
    { name: 'b', type: 'int64' },
  ];
  for (const values of [5, [1], [1, 2, 3], 'x', null, undefined, new Date(), new Uint8Array(2)]) {
    assert.throws(() => encoded(two, values), refusal('KEY_INVALID', /2 columns \(a, b\)/));
  }
  assert.throws(() => encoded(two, { a: 1 }), refusal('KEY_INVALID', /"b"/));
  assert.throws(() => encoded(COLUMNS.int64, undefined), refusal('KEY_INVALID'));
});

test('keys over the limit are refused', () => {
  assert.equal(encoded(COLUMNS.string, 'x'.repeat(1022)).length, 1024);
  assert.throws(
    () => encoded(COLUMNS.string, 'x'.repeat(1023)),
    refusal('KEY_TOO_LARGE', /1025 bytes encoded; at most 1024/),
  );
  assert.throws(() => encoded(COLUMNS.string, 'x'.repeat(100_000)), refusal('KEY_TOO_LARGE'));
  assert.throws(() => encoded(COLUMNS.bytes, new Uint8Array(70_000)), refusal('KEY_TOO_LARGE'));
});

test('bytes that are no key are refused', () => {
  const refuses = (columns: KeyColumn[], bytes: string, code: string, message: RegExp): void => {
    const raw = Buffer.from(bytes, 'hex');
    assert.throws(() => verifyKey(columns, raw, 0, raw.length), refusal(code, message));
  };
  refuses(COLUMNS.int64, '00', 'KEY_INVALID', /runs past the key's 1 bytes/);
  refuses(COLUMNS.int64, '000000000000000000', 'KEY_INVALID', /9 bytes, its 1 columns end after 8/);
  refuses(COLUMNS.string, '', 'KEY_INVALID', /runs past/);
  refuses(COLUMNS.string, '0500414141', 'KEY_INVALID', /runs past/);
  refuses(COLUMNS.string, '0200ff41', 'KEY_INVALID', /not UTF-8/);
  refuses(COLUMNS.timestamp, '0000000000000080', 'KEY_INVALID', /outside/);
  refuses(COLUMNS.timestamp, '000000000000e0ff', 'KEY_INVALID', /outside/);
  refuses(COLUMNS.timestamp, '0000000000002000', 'KEY_INVALID', /outside/);
  refuses(COLUMNS.bytes, `ff04${'00'.repeat(1279)}`, 'KEY_TOO_LARGE', /at most 1024/);
  verifyKey(COLUMNS.timestamp, Buffer.from('010000000000e0ff', 'hex'), 0, 8);
});

test('timestampMicros takes dates, numbers and bigints of whole microseconds', () => {
  assert.equal(timestampMicros(new Date(2)), 2000);
  assert.equal(timestampMicros(-5), -5);
  assert.equal(timestampMicros(5n), 5);
  for (const value of [1.5, '5', null, 2n ** 60n]) assert.ok(Number.isNaN(timestampMicros(value)));
});
