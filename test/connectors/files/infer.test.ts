/** Types from a sample: the narrowest that loses nothing, whatever the order of the rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceColumn } from '../../../connectors/files/column-type.ts';
import { formatColumnType } from '../../../connectors/files/column-type.ts';
import { inferJsonColumns, inferTextColumns } from '../../../connectors/files/infer.ts';

function typesOf(columns: readonly SourceColumn[]): Record<string, string> {
  return Object.fromEntries(columns.map((column) => [column.name, formatColumnType(column)]));
}

function textType(...values: (string | null)[]): string {
  return formatColumnType(
    inferTextColumns(
      ['c'],
      values.map((value) => [value]),
    )[0]!,
  );
}

function jsonType(...values: unknown[]): string {
  return formatColumnType(inferJsonColumns(values.map((value) => ({ c: value })))[0]!);
}

test('a text column is the narrowest type that holds every value', () => {
  assert.equal(textType('1', '-20', '0'), 'int64');
  assert.equal(textType('1', '2.5'), 'float64');
  assert.equal(textType('1e3', '.5', 'NaN', '-inf'), 'float64');
  assert.equal(textType('true', 'FALSE'), 'bool');
  assert.equal(textType('2001-01-14', '2001/01/15 10:00'), 'timestamp');
  assert.equal(textType('ORD', 'LAX'), 'string');
});

test('a number that would not come back as written stays text', () => {
  assert.equal(textType('00501', '10001'), 'string');
  assert.equal(textType('12345678901234567890'), 'string');
  assert.equal(textType('9223372036854775807'), 'int64');
  assert.equal(textType('9223372036854775808'), 'string');
  assert.equal(textType('+1'), 'string');
});

test('mixed text is a string and says so; the order of rows does not matter', () => {
  const columns = inferTextColumns(['c'], [['1'], ['x'], [null]]);
  assert.deepEqual(columns, [{ name: 'c', type: 'string', note: 'mixed: int64, string' }]);
  assert.deepEqual(inferTextColumns(['c'], [[null], ['x'], ['1']]), columns);
  assert.equal(textType('2001-01-14', '7'), 'string');
});

test('a column without a value in the sample is a string and says so', () => {
  const [column] = inferTextColumns(['c'], [[null]]);
  assert.equal(column?.type, 'string');
  assert.match(column?.note ?? '', /no value/);
});

test('a JSON column keeps its kind: a string of digits is no number', () => {
  assert.equal(jsonType(1, 2), 'int64');
  assert.equal(jsonType(1, 2.5), 'float64');
  assert.equal(jsonType('1'), 'string');
  assert.equal(jsonType(true, null), 'bool');
  assert.equal(jsonType('2001-01-14T10:00:00Z'), 'timestamp');
  assert.equal(jsonType('2001-01-14T10:00:00Z', 'soon'), 'string');
  assert.equal(jsonType({ a: 1 }), 'msgpack');
  assert.equal(jsonType(1, 'x'), 'msgpack');
});

test('a JSON number too large for an exact integer is a float64, which takes it', () => {
  assert.equal(jsonType(1e300), 'float64');
  assert.equal(jsonType(2 ** 53), 'float64');
  assert.equal(jsonType(1, -1e300), 'float64');
  assert.equal(jsonType([1e300]), 'list<float64>');
  assert.equal(jsonType(2 ** 53 - 1), 'int64');
});

test('JSON lists of one kind of scalar are lists, all others msgpack', () => {
  assert.equal(jsonType([1, 2], [3.5]), 'list<float64>');
  assert.equal(jsonType(['a'], []), 'list<string>');
  assert.equal(jsonType([1, 'a']), 'msgpack');
  assert.equal(jsonType([[1]]), 'msgpack');
  assert.equal(jsonType([1, null]), 'msgpack');
  assert.equal(jsonType([1], 2), 'msgpack');
});

test('JSON columns come in the order in which their names first come', () => {
  assert.deepEqual(typesOf(inferJsonColumns([{ b: 1 }, { a: 'x', b: 2 }])), { b: 'int64', a: 'string' });
});
