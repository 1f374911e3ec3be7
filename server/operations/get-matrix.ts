/**
 * GET_MATRIX: looks the keys up and projects the asked features of each row straight into the response's matrix.
 *
 *   decode keys -> digests -> shard.tryRead: places -> reserve -> project row by row
 *                          -> from the device, or too many for one turn: pending-reads.ts
 *
 * The plan of the projection is compiled once a feature list and schema version (projection.ts). All in one turn where the rows are in memory,
 * no object a row.
 */
import {
  decodeGetMatrixRequest,
  FRAME_BYTES_MAX,
  type Frame,
  MATRIX_FLAG_EVENT_TIMES,
  type MatrixShape,
  matrixShape,
  OPERATIONS,
  ProtocolError,
  RESPONSE_HEADER_BYTES,
  readGroupId,
  writeResponseHeader,
} from '../../protocol/index.ts';
import { type ArenaTable, RECORD_MISSING, type ReadBatch, recordPayloadOffset } from '../../storage/index.ts';
import { deadlineOf } from '../deadlines.ts';
import { READ_KEYS_MAX, READ_TURN_BYTES } from '../limits.ts';
import type { Operation, ResponseBytes, SessionContext } from '../operation.ts';
import type { OutputPiece } from '../output-buffer.ts';
import { ownResponse, type PendingReads, type ReadResponder, type SlicedResponse } from '../pending-reads.ts';
import { type Projection, projectMissing, projectRow } from '../projection.ts';
import { correlationIdOf } from '../request-fields.ts';
import type { ShardServices } from '../shard-services.ts';

/** A record's event time, in words from its start (storage/record.ts). */
const EVENT_TIME_WORD = 4;
const SCHEMA_VERSION_MASK = 0xffff;

export function getMatrixOperation(shard: ShardServices, reads: PendingReads): Operation {
  const { groups, keys, batch, store } = shard;
  return {
    number: OPERATIONS.GET_MATRIX,
    handle(context: SessionContext, frame: Frame): void {
      const group = groups.byId(readGroupId(frame));
      const request = decodeGetMatrixRequest(frame, group.schema.key, keys);
      const projection = group.projections.get(request.featureIds, request.dtype);
      const shape = matrixShape(keys.count, projection.columnCount, request.dtype, request.withEventTimes);
      if (shape.bytes > FRAME_BYTES_MAX - RESPONSE_HEADER_BYTES) refuseSize(shape);
      shard.resolve(keys);
      const { id } = group.schema;
      const correlationId = correlationIdOf(frame);
      if (
        keys.count <= READ_KEYS_MAX &&
        shape.bytes <= READ_TURN_BYTES &&
        shard.tryRead(id, keys, context.receivedAtMicros, batch) &&
        batch.count === keys.count
      ) {
        respond(context, correlationId, projection, shape, batch, store.arenas);
        return;
      }
      const frameBytes = frame.end - frame.offset;
      const origin = { context, correlationId, deadlineMs: deadlineOf(context, frame), frameBytes };
      const responder = matrixResponder(projection, shape, store.arenas);
      reads.start(origin, id, context.receivedAtMicros, keys, responder);
    },
  };
}

/** The whole matrix, into the connection's output. */
function respond(
  context: SessionContext,
  correlationId: number,
  projection: Projection,
  shape: MatrixShape,
  batch: ReadBatch,
  arenas: ArenaTable,
): void {
  verifyVersions(batch, arenas, projection);
  const body = context.reserve(OPERATIONS.GET_MATRIX, correlationId, shape.bytes, 0);
  writeHead(shape, context.output, body);
  writeMatrix(projection, shape, batch, batch.count, 0, arenas, context.output, body);
}

function matrixResponder(projection: Projection, shape: MatrixShape, arenas: ArenaTable): ReadResponder {
  return {
    operation: OPERATIONS.GET_MATRIX,
    respond(context: SessionContext, correlationId: number, batch: ReadBatch): boolean {
      if (shape.bytes > READ_TURN_BYTES) return false;
      respond(context, correlationId, projection, shape, batch, arenas);
      return true;
    },
    slicedBytes: () => shape.bytes,
    slice: () => new SlicedMatrix(projection, shape),
  };
}

/** A matrix that is filled slice by slice, in a frame of its own. */
class SlicedMatrix implements SlicedResponse {
  readonly #projection: Projection;
  readonly #shape: MatrixShape;
  readonly #frame: ResponseBytes;

  constructor(projection: Projection, shape: MatrixShape) {
    this.#projection = projection;
    this.#shape = shape;
    this.#frame = ownResponse(RESPONSE_HEADER_BYTES + shape.bytes);
    writeHead(shape, this.#frame, RESPONSE_HEADER_BYTES);
  }

  add(batch: ReadBatch, arenas: ArenaTable, from: number): number {
    verifyVersions(batch, arenas, this.#projection);
    const rowBytes = this.#shape.columnCount * this.#projection.cellWords * 4;
    const count = Math.min(batch.count, Math.max(1, Math.floor(READ_TURN_BYTES / rowBytes)));
    writeMatrix(
      this.#projection,
      this.#shape,
      batch,
      count,
      from,
      arenas,
      this.#frame,
      RESPONSE_HEADER_BYTES,
    );
    return count;
  }

  finish(correlationId: number): readonly OutputPiece[] {
    const { view, bytes } = this.#frame;
    writeResponseHeader(view, 0, bytes.length, OPERATIONS.GET_MATRIX, 0, correlationId, 0);
    return [{ bytes, chunk: null }];
  }
}

/** Rows of other versions have projections of their own, made before the response is begun. Throws SCHEMA_VERSION_UNKNOWN. */
function verifyVersions(batch: ReadBatch, arenas: ArenaTable, projection: Projection): void {
  let known = projection;
  for (let index = 0; index < batch.count; index++) {
    const record = batch.offset[index]!;
    if (record === RECORD_MISSING) continue;
    const { view, words } = arenas.get(batch.arena[index]!);
    const version = words[recordPayloadOffset(view, record) >>> 2]! & SCHEMA_VERSION_MASK;
    if (version !== known.schemaVersion) known = projection.ofVersion(version);
  }
}

/** The fixed fields, and zeros where parts are padded. */
function writeHead(shape: MatrixShape, output: ResponseBytes, body: number): void {
  const { view, bytes } = output;
  view.setUint32(body, shape.rowCount, true);
  view.setUint32(body + 4, shape.columnCount, true);
  view.setUint32(body + 8, shape.validityStride, true);
  view.setUint16(body + 12, shape.dtype, true);
  view.setUint16(body + 14, shape.withEventTimes ? MATRIX_FLAG_EVENT_TIMES : 0, true);
  const foundEnd = shape.foundAt + shape.rowCount;
  for (let at = foundEnd; at < shape.validityAt; at++) bytes[body + at] = 0;
  const validityEnd = shape.validityAt + shape.rowCount * shape.validityStride;
  for (let at = validityEnd; at < shape.eventTimesAt; at++) bytes[body + at] = 0;
}

/** Fills the matrix's rows [first, first + count) from the first places of the batch. */
function writeMatrix(
  asked: Projection,
  shape: MatrixShape,
  batch: ReadBatch,
  count: number,
  first: number,
  arenas: ArenaTable,
  output: ResponseBytes,
  body: number,
): void {
  const { bytes, view, words } = output;
  // Two versions take turns where a group is being rewritten: the one before is at hand.
  let projection = asked;
  let other = asked;
  const cellsStride = shape.columnCount * asked.cellWords * 4;
  let cellsAt = body + shape.dataAt + first * cellsStride;
  let validityAt = body + shape.validityAt + first * shape.validityStride;
  const timesWord = shape.withEventTimes ? ((body + shape.eventTimesAt) >>> 2) + 2 * first : -1;
  const foundAt = body + shape.foundAt + first;
  for (let index = 0; index < count; index++) {
    const record = batch.offset[index]!;
    const isFound = record !== RECORD_MISSING;
    bytes[foundAt + index] = isFound ? 1 : 0;
    if (isFound) {
      const arena = arenas.get(batch.arena[index]!);
      const row = recordPayloadOffset(arena.view, record);
      const version = arena.words[row >>> 2]! & SCHEMA_VERSION_MASK;
      if (version !== projection.schemaVersion) {
        const before = projection;
        projection = version === other.schemaVersion ? other : asked.ofVersion(version);
        other = before;
      }
      projectRow(projection, arena.words, arena.view, row, words, view, cellsAt, bytes, validityAt);
      if (timesWord >= 0) copyEventTime(arena.words, record >>> 2, words, timesWord + 2 * index);
    } else {
      projectMissing(projection, words, cellsAt, bytes, validityAt);
      if (timesWord >= 0) clearEventTime(words, timesWord + 2 * index);
    }
    cellsAt += cellsStride;
    validityAt += shape.validityStride;
  }
}

function copyEventTime(source: Uint32Array, recordWord: number, target: Uint32Array, to: number): void {
  target[to] = source[recordWord + EVENT_TIME_WORD]!;
  target[to + 1] = source[recordWord + EVENT_TIME_WORD + 1]!;
}

function clearEventTime(words: Uint32Array, at: number): void {
  words[at] = 0;
  words[at + 1] = 0;
}

function refuseSize(shape: MatrixShape): never {
  throw new ProtocolError(
    'BATCH_TOO_LARGE',
    `a matrix of ${shape.rowCount} × ${shape.columnCount} takes ${shape.bytes} bytes, and one response at most ${FRAME_BYTES_MAX}: ask for fewer keys`,
  );
}
