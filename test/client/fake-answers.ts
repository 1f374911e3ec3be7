/** Answers of a fake server: rows and matrices for the keys that a request names. */
import {
  ByteWriter,
  compileLayout,
  decodeDeleteRequest,
  decodeGetMatrixRequest,
  decodeGetRequest,
  decodeKey,
  decodePatchRequest,
  decodePutRequest,
  encodeDeleteResponse,
  encodeGetMatrixResponse,
  encodeGetResponse,
  encodePatchResponse,
  encodePutResponse,
  encodeRow,
  type GroupSchema,
  type KeyBatch,
  type KeyValue,
  matrixShape,
  type PatchRequest,
  RESULT_REFUSED_MIN,
} from '../../protocol/index.ts';
import type { FakeRequest } from './fake-server.ts';

/** Every fake row's event time. */
export const EVENT_TIME_MICROS = 1_700_000_000_000_000;

/** What a fake row holds for a key; null: there is none. */
export type RowOfKey = (key: Record<string, KeyValue>) => Record<string, unknown> | null;

export function keysOf(schema: GroupSchema, keys: KeyBatch): Record<string, KeyValue>[] {
  return Array.from({ length: keys.count }, (_, i) =>
    decodeKey(schema.key, keys.bytes, keys.offsets[i]!, keys.offsets[i + 1]! - keys.offsets[i]!),
  );
}

/** The keys that a GET names. */
export function keysOfGet(schema: GroupSchema, request: FakeRequest): Record<string, KeyValue>[] {
  return keysOf(schema, decodeGetRequest(request.frame, schema.key).keys);
}

export function answerGet(schema: GroupSchema, request: FakeRequest, rowOf: RowOfKey): void {
  const layout = compileLayout(schema);
  const rows = new ByteWriter();
  const keys = keysOfGet(schema, request);
  const offsets = [0];
  for (const key of keys) {
    const row = rowOf(key);
    if (row !== null) encodeRow(layout, row, rows);
    offsets.push(rows.length);
  }
  request.answer((writer, id) =>
    encodeGetResponse(writer, id, {
      count: keys.length,
      offsets,
      eventTimes: keys.map(() => EVENT_TIME_MICROS),
      lsns: keys.map((_, index) => (offsets[index] === offsets[index + 1] ? 0 : index + 1)),
      rows: rows.bytes.subarray(0, rows.length),
    }),
  );
}

/** Every cell of a row is `cellOf` its key (plus the column's number); a row of NaN is missing. */
export function answerMatrix(
  schema: GroupSchema,
  request: FakeRequest,
  columns: number,
  cellOf: (key: Record<string, KeyValue>) => number,
): void {
  const { keys, dtype, withEventTimes } = decodeGetMatrixRequest(request.frame, schema.key);
  const shape = matrixShape(keys.count, columns, dtype, withEventTimes);
  const values = keysOf(schema, keys).map(cellOf);
  const found = Uint8Array.from(values, (value) => (Number.isNaN(value) ? 0 : 1));
  const validity = new Uint8Array(keys.count * shape.validityStride);
  const data: number[] = [];
  values.forEach((value, row) => {
    for (let column = 0; column < columns; column++) {
      data.push(value + column);
      if (found[row] === 1) validity[row * shape.validityStride + (column >> 3)]! |= 1 << (column & 7);
    }
  });
  const eventTimes = withEventTimes ? values.map((_, row) => EVENT_TIME_MICROS + row) : null;
  request.answer((writer, id) =>
    encodeGetMatrixResponse(writer, id, shape, { found, validity, eventTimes, data }),
  );
}

/** The keys of a PUT, with each row's event time. */
export function rowsOfPut(
  schema: GroupSchema,
  request: FakeRequest,
): { key: Record<string, KeyValue>; eventTime: number }[] {
  const { keys, eventTimes } = decodePutRequest(request.frame, schema.key, compileLayout(schema));
  return keysOf(schema, keys).map((key, index) => ({ key, eventTime: eventTimes[index]! }));
}

/** What a PUT says of its rows. */
export function decodedPut(
  schema: GroupSchema,
  request: FakeRequest,
): { keys: Record<string, KeyValue>[]; ifVersions: Float64Array | null; isBackfill: boolean } {
  const { keys, ifVersions, isBackfill } = decodePutRequest(request.frame, schema.key, compileLayout(schema));
  return { keys: keysOf(schema, keys), ifVersions, isBackfill };
}

/** Answers a PUT: what `resultOf` the first key column says, else APPLIED; row i of the request gets LSN firstLsn + i. */
export function answerPut(
  schema: GroupSchema,
  request: FakeRequest,
  firstLsn: number = 1,
  resultOf: (key: KeyValue) => number = () => 0,
): void {
  const keys = decodedPut(schema, request).keys.map((key) => key[schema.key[0]!.name]!);
  const results = Uint8Array.from(keys, resultOf);
  const lsns = keys.map((_, index) => (results[index]! >= RESULT_REFUSED_MIN ? 0 : firstLsn + index));
  request.answer((writer, id) => encodePutResponse(writer, id, keys.length, results, lsns));
}

/** Accepts all patches, or gives each what `resultOf` the first key column says; answers the request as it was decoded. */
export function answerPatch(
  schema: GroupSchema,
  request: FakeRequest,
  resultOf: (key: KeyValue) => number = () => 0,
): PatchRequest {
  const decoded = decodePatchRequest(request.frame, schema.key, compileLayout(schema));
  const keys = keysOf(schema, decoded.keys).map((key) => key[schema.key[0]!.name]!);
  const results = Uint8Array.from(keys, resultOf);
  const lsns = keys.map((_, index) => (results[index]! >= RESULT_REFUSED_MIN ? 0 : index + 1));
  request.answer((writer, id) => encodePatchResponse(writer, id, keys.length, results, lsns));
  return decoded;
}

export function answerDelete(schema: GroupSchema, request: FakeRequest): number[] {
  const { count, eventTimes } = decodeDeleteRequest(request.frame, schema.key);
  request.answer((writer, id) =>
    encodeDeleteResponse(writer, id, count, new Uint8Array(count), new Float64Array(count)),
  );
  return [...eventTimes];
}
