/** Cells to typed values: nothing bent, nulls kept, the first misfit named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseColumnType } from '../../../connectors/files/column-type.ts';
import { CellError, convertColumn, type TimeUnit } from '../../../connectors/files/convert.ts';

function convert(type: string, values: unknown[], timeUnit?: TimeUnit): unknown[] {
  return Array.from(convertColumn(values, values.length, parseColumnType(type), { timeUnit }));
}

function refuses(type: string, value: unknown, message: RegExp = /./): void {
  assert.throws(
    () => convert(type, [value]),
    (error) => error instanceof CellError && error.index === 0 && message.test(error.message),
    `${type} ${String(value)}`,
  );
}

test('integers keep their value or are refused', () => {
  assert.deepEqual(convert('int8', ['-128', 127, 5n]), [-128, 127, 5]);
  assert.deepEqual(convert('int64', ['9223372036854775807', 7n, 2 ** 53 - 1]), [
    9223372036854775807n,
    7,
    9007199254740991,
  ]);
  for (const value of [128, '128', 1.5, '1.5', 'x', '', ' 1', '0x1', true]) refuses('int8', value);
  refuses('int64', '9223372036854775808');
  refuses('int64', 2 ** 53, /beyond 2\^53/);
  refuses('int32', Number.NaN, /NaN is not an int32/);
});

test('numbers without nulls come as typed arrays, with nulls as plain ones', () => {
  assert.ok(convertColumn(['1', '2'], 2, { type: 'int32' }) instanceof Int32Array);
  assert.deepEqual(convertColumn(['1', null, '3'], 3, { type: 'int32' }), [1, null, 3]);
  assert.deepEqual(convertColumn([undefined, 1], 2, { type: 'float32' }), [null, 1]);
});

test('floats take every number but none that would become infinite or lose digits', () => {
  assert.deepEqual(convert('float64', ['1e-3', '-.5', 'nan', 'Infinity', 3n]), [
    0.001,
    -0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    3,
  ]);
  assert.deepEqual(convert('float32', [0.1, Number.NEGATIVE_INFINITY]), [
    Math.fround(0.1),
    Number.NEGATIVE_INFINITY,
  ]);
  refuses('float32', 1e300);
  refuses('float64', 2n ** 60n + 1n);
  for (const value of ['1,5', '1.5.5', 'e5', '']) refuses('float64', value);
});

test('a number in a timestamp column needs a unit, a text does not', () => {
  assert.deepEqual(convert('timestamp', ['1970-01-01T00:00:01Z', new Date(2000)]), [1e6, 2e6]);
  assert.deepEqual(convert('timestamp', [1.5, '2', 3n], 's'), [1.5e6, 2e6, 3e6]);
  assert.deepEqual(convert('timestamp', [1_999_999n], 'ns'), [1999]);
  refuses('timestamp', 1_700_000_000, /--time-unit/);
  refuses('timestamp', '1700000000', /--time-unit/);
  refuses('timestamp', 'soon', /"soon" is not a timestamp/);
});

test('bools, text, bytes and uuids', () => {
  assert.deepEqual(convert('bool', ['True', 'f', '1', 0, true]), [true, false, true, false, true]);
  refuses('bool', 'yes');
  refuses('bool', 2);
  assert.deepEqual(convert('string', ['a', 5, 7n, true]), ['a', '5', '7', 'true']);
  refuses('string', { a: 1 });
  assert.deepEqual(convert('bytes', ['é']), [new Uint8Array([0xc3, 0xa9])]);
  assert.equal(convert('uuid', ['123e4567-e89b-12d3-a456-426614174000']).length, 1);
  refuses('uuid', '123e4567');
});

test('vectors and lists are checked item by item, and may be JSON text', () => {
  assert.deepEqual(convert('vector(2)', [[1, 2], '[0.5, 1]']), [
    new Float32Array([1, 2]),
    new Float32Array([0.5, 1]),
  ]);
  refuses('vector(2)', [1], /not a vector of 2 numbers/);
  refuses('vector(2)', [1, 'x']);
  assert.deepEqual(convert('list<int8>', [[1, 2], []]), [[1, 2], []]);
  refuses('list<int8>', [1, 300]);
  refuses('list<int8>', [1, null]);
  refuses('list<int8>', '[1');
});

test('the index of the first misfit is the row in the batch', () => {
  assert.throws(() => convert('int8', [1, null, 3, 'x']), { index: 3, message: '"x" is not an int8' });
});

test('a long value is cut in the message', () => {
  assert.throws(
    () => convert('int8', ['y'.repeat(500)]),
    (error: Error) => error.message.length < 100,
  );
});
