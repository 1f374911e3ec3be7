/** Verification of patches: what encodes verifies; what does not fit the schema, or reaches outside, is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  add,
  append,
  ByteWriter,
  compileLayout,
  encodePatch,
  encodeRow,
  type FeatureType,
  ProtocolError,
  ROW_BYTES_MAX,
  RowPatcher,
  verifyPatch,
  verifyRow,
} from '../../protocol/index.ts';
import { SeededRandom } from '../support/random-source.ts';
import { refusal } from './frames.ts';
import { PATCH_CASE } from './patch-arbitraries.ts';
import { EVERY_TYPE, schemaOf } from './sample-schemas.ts';
import { announcedSeed } from './seed.ts';

const LAYOUT = compileLayout(schemaOf(EVERY_TYPE));
const SLOTS = new Map(LAYOUT.slots.map((slot) => [slot.name, slot]));

interface RawStep {
  name?: string;
  id?: number;
  kind: number;
  reserved?: number;
  value?: Uint8Array;
  valueBytes?: number;
}

/** A patch from its parts, right or wrong. */
function patchOf(
  steps: RawStep[],
  header: { bytes?: number; count?: number; reserved?: number } = {},
): Uint8Array {
  const writer = new ByteWriter();
  writer.reserve(8);
  for (const step of steps) {
    const value = step.value ?? new Uint8Array(0);
    writer.u16(step.id ?? SLOTS.get(step.name!)!.id);
    writer.u8(step.kind);
    writer.u8(step.reserved ?? 0);
    writer.u32(step.valueBytes ?? value.length);
    writer.raw(value);
    writer.align8();
  }
  writer.view.setUint32(0, header.bytes ?? writer.length, true);
  writer.view.setUint16(4, header.count ?? steps.length, true);
  writer.view.setUint16(6, header.reserved ?? 0, true);
  return writer.finish();
}

function verify(bytes: Uint8Array): void {
  verifyPatch(LAYOUT, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), bytes, 0, bytes.length);
}

function refuses(steps: RawStep[], message: RegExp, code: string = 'PATCH_INVALID'): void {
  assert.throws(() => verify(patchOf(steps)), refusal(code, message));
}

const INT32 = Uint8Array.of(1, 0, 0, 0);

/** What each kind of step (add, min, append) is taken by. */
const TAKES: Record<number, readonly FeatureType[]> = {
  3: ['int8', 'int16', 'int32', 'int64', 'float32', 'float64'],
  4: ['int8', 'int16', 'int32', 'int64', 'float32', 'float64', 'timestamp'],
  5: ['int8', 'int16', 'int32', 'int64', 'float32', 'float64', 'timestamp'],
  6: ['list'],
};

test('a feature takes the steps of its type and no others', () => {
  for (const { name, type } of EVERY_TYPE) {
    for (const kind of [3, 4, 5, 6]) {
      if (TAKES[kind]!.includes(type)) continue;
      refuses(
        [{ name, kind, value: new Uint8Array(8) }],
        new RegExp(`^step 0: .*\\(${type}\\).*do not take it`),
      );
    }
    for (const kind of [0, 7, 255]) refuses([{ name, kind }], /step of kind \d+ on feature/);
    verify(patchOf([{ name, kind: 2 }]));
    refuses([{ name, kind: 2, value: INT32 }], /it has a value/);
  }
});

test('values have the bytes of their type', () => {
  verify(patchOf([{ name: 'a_int32', kind: 3, value: INT32 }]));
  refuses([{ name: 'a_int32', kind: 3, value: INT32.subarray(0, 3) }], /3 bytes; the feature takes 4/);
  refuses([{ name: 'a_bool', kind: 1, value: Uint8Array.of(2) }], /a bool is 0 or 1/);
  refuses([{ name: 'a_timestamp', kind: 5, value: new Uint8Array(8).fill(0x7f) }], /outside/);
  refuses([{ name: 'a_string', kind: 1, value: Uint8Array.of(0xff) }], /not UTF-8/);
  refuses([{ name: 'a_msgpack', kind: 1, value: Uint8Array.of(0xc1) }], /not MessagePack/);
  refuses([{ name: 'a_vector', kind: 1, value: INT32 }], /4 bytes; the feature takes 12/);
  refuses(
    [{ name: 'a_list_int8', kind: 1, value: Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 1) }],
    /2 items in 1 bytes/,
  );
});

test('NaN is a value and no operand', () => {
  const nan = new Uint8Array(Float32Array.of(Number.NaN).buffer);
  const nan64 = new Uint8Array(Float64Array.of(Number.NaN).buffer);
  verify(patchOf([{ name: 'a_float32', kind: 1, value: nan }]));
  for (const kind of [3, 4, 5]) {
    refuses([{ name: 'a_float32', kind, value: nan }], /must not be NaN/);
    refuses([{ name: 'a_float64', kind, value: nan64 }], /must not be NaN/);
  }
});

test('an append has a bound from 1 and a whole list', () => {
  const appended = (bound: number, reserved: number, ...list: number[]): RawStep[] => [
    { name: 'a_list_int8', kind: 6, value: Uint8Array.of(bound, 0, 0, 0, reserved, 0, 0, 0, ...list) },
  ];
  verify(patchOf(appended(1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9)));
  refuses(appended(0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9), /its bound is 0/);
  refuses(appended(1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 9), /its bound is 1/);
  refuses(appended(1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9), /2 items/);
  refuses(appended(1, 0), /a list has at least 8/);
  refuses([{ name: 'a_list_int8', kind: 6, value: INT32 }], /it has no bound/);
});

test('steps stand by rising id, inside the patch, and nothing else does', () => {
  const a = { name: 'a_int16', kind: 2 };
  const b = { name: 'a_int32', kind: 2 };
  refuses([b, a], /each stands once/);
  refuses([a, a], /each stands once/);
  refuses([{ id: 0, kind: 2 }], /each stands once/);
  refuses([{ id: 60_000, kind: 2 }], /no feature 60000/, 'FEATURE_NOT_FOUND');
  refuses([{ ...a, reserved: 1 }], /reserved byte/);
  refuses([{ ...b, kind: 3, value: INT32, valueBytes: 9 }], /has 9 bytes; the patch has 8 more/);
  refuses([{ ...b, kind: 3, value: INT32, valueBytes: 0xffffffff }], /has 4294967295 bytes/);
  refuses([{ ...b, kind: 3, value: Uint8Array.of(1, 0, 0, 0, 1), valueBytes: 4 }], /not padded/);
  const refusesBytes = (bytes: Uint8Array, message: RegExp): void =>
    assert.throws(() => verify(bytes), refusal('PATCH_INVALID', message));
  refusesBytes(patchOf([a], { count: 2 }), /step 1: it lies outside/);
  refusesBytes(patchOf([a, b], { count: 1 }), /end 8 bytes before/);
  refusesBytes(patchOf([]), /has no step/);
  refusesBytes(patchOf([a], { bytes: 24 }), /says 24 bytes; it has 16/);
  refusesBytes(patchOf([a], { reserved: 1 }), /header/);
  const large = patchOf([{ name: 'a_bytes', kind: 1, value: new Uint8Array(ROW_BYTES_MAX) }]);
  assert.throws(() => verify(large), refusal('ROW_TOO_LARGE'));
});

test('a damaged patch is refused with a code, or merges to a row that verifies', () => {
  const seed = announcedSeed('damaged patches');
  const random = new SeededRandom(seed);
  let accepted = 0;
  for (const { schema, patch } of fc.sample(PATCH_CASE, { numRuns: 300, seed: seed | 0 })) {
    const layout = compileLayout(schema);
    const writer = new ByteWriter();
    encodePatch(layout, patch, writer);
    const original = writer.finish();
    const patcher = new RowPatcher(layout, () => undefined, new ByteWriter());
    for (let round = 0; round < 50; round++) {
      const bytes = new Uint8Array(original);
      const view = new DataView(bytes.buffer);
      const at = random.below(bytes.length);
      bytes[at] = round % 2 === 0 ? random.uint32() : bytes[at]! ^ (1 << random.below(8));
      try {
        verifyPatch(layout, view, bytes, 0, bytes.length);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
        continue;
      }
      accepted += 1;
      const row = patcher.merge(null, 0, { bytes, view }, 0);
      if (typeof row === 'string') continue;
      verifyRow(layout, new DataView(row.buffer, row.byteOffset, row.length), row, 0, row.length);
    }
  }
  assert.ok(accepted > 100, `${accepted} damaged patches were accepted`);
});

test('what the encoder writes verifies, and a row is no patch', () => {
  const writer = new ByteWriter();
  encodePatch(LAYOUT, { a_int8: add(1), a_list_string: append(['x'], { max: 2 }), a_bytes: null }, writer);
  verify(writer.finish());
  encodeRow(LAYOUT, {}, writer);
  assert.throws(() => verify(writer.finish()), refusal('PATCH_INVALID'));
});
