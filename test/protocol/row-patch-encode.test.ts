/** Patches from objects: what a value, null and undefined mean, and what is refused before anything is sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  add,
  append,
  ByteWriter,
  compileLayout,
  decodeRow,
  encodePatch,
  max,
  min,
  RowPatcher,
  set,
} from '../../protocol/index.ts';
import { bytesOf, refusal } from './frames.ts';
import { EVERY_TYPE, schemaOf } from './sample-schemas.ts';

const LAYOUT = compileLayout(schemaOf(EVERY_TYPE));

function encode(values: Record<string, unknown>): Uint8Array {
  return bytesOf((writer) => encodePatch(LAYOUT, values, writer));
}

function appliedTo(bytes: Uint8Array): Record<string, unknown> {
  const patch = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
  const row = new RowPatcher(LAYOUT, () => undefined, new ByteWriter()).merge(
    null,
    0,
    patch,
    0,
  ) as Uint8Array;
  return decodeRow(LAYOUT, new DataView(row.buffer, row.byteOffset, row.length), 0);
}

test('a value by itself is set, undefined is left alone, other properties are not looked at', () => {
  assert.deepEqual(encode({ a_int8: 5, a_string: undefined, id: 7 }), encode({ a_int8: set(5) }));
  assert.deepEqual(encode({ a_int8: null }), encode({ a_int8: set(null) }));
});

test('the order of properties makes no difference', () => {
  assert.deepEqual(encode({ a_string: 'x', a_int8: 1 }), encode({ a_int8: 1, a_string: 'x' }));
});

test('one item and an array of one are appended alike, typed arrays too', () => {
  const one = encode({ a_list_int16: append(5, { max: 2 }) });
  assert.deepEqual(one, encode({ a_list_int16: append([5], { max: 2 }) }));
  assert.deepEqual(one, encode({ a_list_int16: append(Int16Array.of(5), { max: 2 }) }));
});

test('every type can be set', () => {
  const values = {
    a_timestamp: new Date(3),
    a_vector: [1, 2, 3],
    a_bytes: Uint8Array.of(9),
    a_msgpack: { a: [1] },
    a_list_string: ['x'],
    a_int64: 2n ** 62n,
  };
  const row = appliedTo(encode(values));
  assert.deepEqual(
    Object.keys(values).map((name) => row[name]),
    [3000, Float32Array.of(1, 2, 3), Uint8Array.of(9), { a: [1] }, ['x'], 2n ** 62n],
  );
});

test('a step that does not fit is refused, and the writer is as it was', () => {
  const refused: [Record<string, unknown>, string, RegExp][] = [
    [{ a_string: add(1) }, 'PATCH_INVALID', /add on feature "a_string" \(string\)/],
    [{ a_bool: max(1) }, 'PATCH_INVALID', /max on feature "a_bool"/],
    [{ a_int8: append(1, { max: 2 }) }, 'PATCH_INVALID', /append on feature "a_int8"/],
    [{ a_list_int8: append(1, { max: 0 }) }, 'PATCH_INVALID', /max is 0 .*allowed: 1 to 65536/],
    [{ a_list_int8: append(1, { max: 1.5 }) }, 'PATCH_INVALID', /max is 1.5/],
    [{ a_list_int8: append([1, 300], { max: 5 }) }, 'TYPE_MISMATCH', /item 1/],
    [{ a_list_int8: append(null, { max: 5 }) }, 'PATCH_INVALID', /needs a value/],
    [{ a_int8: add(300) }, 'TYPE_MISMATCH', /-128 to 127/],
    [{ a_int8: add(null as unknown as number) }, 'PATCH_INVALID', /needs a value/],
    [{ a_float64: min(Number.NaN) }, 'PATCH_INVALID', /must not be NaN/],
    [{ a_float32: 'x' }, 'TYPE_MISMATCH', /a number/],
    [{ a_int8: 1, a_vector: [1] }, 'TYPE_MISMATCH', /vector of 3/],
    [{ id: 7 }, 'PATCH_INVALID', /changes no feature/],
    [{ a_bytes: new Uint8Array(2 ** 20) }, 'ROW_TOO_LARGE', /at most 1048576/],
  ];
  for (const [values, code, message] of refused) {
    const writer = new ByteWriter();
    writer.u32(7);
    assert.throws(() => encodePatch(LAYOUT, values, writer), refusal(code, message));
    assert.equal(writer.length, 4);
  }
  assert.throws(() => append(1, {} as { max: number }), refusal('PATCH_INVALID', /needs \{ max \}/));
});
