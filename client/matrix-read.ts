/**
 * GET_MATRIX: numeric features of many keys as one typed array.
 *
 * When one request answers all keys, the matrix is a set of views of the received frame: from the socket to the
 * caller's model the numbers are copied once. When several shards or requests answer, their rows are scattered to the
 * places that their keys have in the caller's order; shards are asked in parallel and their answers taken as they come.
 */
import {
  type ByteWriter,
  DTYPE_FLOAT64,
  decodeGetMatrixResponse,
  encodeGetMatrixRequest,
  type Frame,
  type KeyBatch,
  type MatrixShape,
  OPERATIONS,
  ProtocolError,
  RESPONSE_HEADER_BYTES,
  type RequestOptions,
  readInt64,
} from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { MillraceError } from './errors.ts';
import {
  FeatureMatrix,
  type MatrixData,
  matrixData,
  scatterBytes,
  scatterNumbers,
} from './feature-matrix.ts';
import { type Group, matrixKeysMax, type Projection } from './group.ts';
import { KeyedOperation, type Pick } from './keyed-operation.ts';

type AnyMatrix = FeatureMatrix<MatrixData>;

/** What one answer holds, as views of its frame's bytes. */
interface Answer {
  readonly found: Uint8Array;
  readonly validity: Uint8Array;
  readonly data: MatrixData;
  readonly eventTimes: Float64Array | null;
}

export class MatrixRead extends KeyedOperation {
  private readonly groupId: number;
  private readonly projection: Projection;
  private readonly dtype: number;
  private readonly withEventTimes: boolean;
  private readonly resolve: (matrix: AnyMatrix) => void;
  private readonly reject: (error: MillraceError) => void;
  private matrix: AnyMatrix | null = null;
  private failure: MillraceError | null = null;

  constructor(
    dispatcher: Dispatcher,
    group: Group<unknown, unknown, unknown>,
    deadlineMs: number,
    keys: KeyBatch,
    projection: Projection,
    dtype: number,
    withEventTimes: boolean,
    resolve: (matrix: AnyMatrix) => void,
    reject: (error: MillraceError) => void,
  ) {
    const keysMax = matrixKeysMax(projection.columnNames.length, dtype, withEventTimes);
    super(dispatcher, OPERATIONS.GET_MATRIX, 'read', deadlineMs, keys, keysMax);
    this.groupId = group.schema.id;
    this.projection = projection;
    this.dtype = dtype;
    this.withEventTimes = withEventTimes;
    this.resolve = resolve;
    this.reject = reject;
  }

  encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void {
    const { groupId, dtype, withEventTimes, keys } = this;
    const { featureIds } = this.projection;
    encodeGetMatrixRequest(writer, options, { groupId, dtype, withEventTimes, featureIds, keys }, pick);
  }

  accept(frame: Frame, pick: Pick, isOwn: boolean): void {
    const shape = decodeGetMatrixResponse(frame);
    const rows = pick === null ? this.keys.count : pick.length;
    const columns = this.projection.columnNames.length;
    const isAsked = shape.dtype === this.dtype && shape.withEventTimes === this.withEventTimes;
    if (!isAsked || shape.rowCount !== rows || shape.columnCount !== columns) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `the answer is a matrix of ${shape.rowCount} × ${shape.columnCount}, dtype ${shape.dtype}; ${rows} × ${columns}, dtype ${this.dtype}, was asked for`,
      );
    }
    const answer = readAnswer(isOwn ? frame.bytes : copyFrame(frame), shape);
    if (pick === null) {
      const { data, found, validity, eventTimes } = answer;
      this.matrix = new FeatureMatrix(data, this.projection.columnNames, found, validity, eventTimes);
    } else {
      this.matrix ??= this.emptyMatrix();
      merge(this.matrix, answer, pick);
    }
  }

  refuse(error: MillraceError): void {
    this.failure ??= error;
  }

  finish(): void {
    if (this.failure !== null) this.reject(this.failure);
    else this.resolve(this.matrix!);
  }

  private emptyMatrix(): AnyMatrix {
    const { columnNames } = this.projection;
    const rows = this.keys.count;
    return emptyMatrix(rows, columnNames, this.dtype, this.withEventTimes);
  }
}

/** A matrix whose every row is missing so far. */
export function emptyMatrix(
  rows: number,
  columnNames: readonly string[],
  dtype: number,
  withEventTimes: boolean,
): AnyMatrix {
  return new FeatureMatrix(
    matrixData(dtype === DTYPE_FLOAT64, rows * columnNames.length),
    columnNames,
    new Uint8Array(rows),
    new Uint8Array(rows * ((columnNames.length + 7) >>> 3)),
    withEventTimes ? new Float64Array(rows) : null,
  );
}

/** The frame in a buffer of its own, which begins on an 8-byte boundary as the frame's parts do. */
function copyFrame(frame: Frame): Uint8Array {
  const own = Buffer.allocUnsafeSlow(frame.end - frame.offset);
  own.set(frame.bytes.subarray(frame.offset, frame.end));
  return own;
}

/** `bytes` is a frame alone in its buffer. */
function readAnswer(bytes: Uint8Array, shape: MatrixShape): Answer {
  const buffer = bytes.buffer as ArrayBuffer;
  const body = bytes.byteOffset + RESPONSE_HEADER_BYTES;
  const { rowCount, columnCount } = shape;
  const found = new Uint8Array(buffer, body + shape.foundAt, rowCount);
  const validity = new Uint8Array(buffer, body + shape.validityAt, rowCount * shape.validityStride);
  const Data = shape.dtype === DTYPE_FLOAT64 ? Float64Array : Float32Array;
  const data = new Data(buffer, body + shape.dataAt, rowCount * columnCount);
  const eventTimes = shape.withEventTimes
    ? readEventTimes(new DataView(buffer), body + shape.eventTimesAt, found)
    : null;
  return { found, validity, data, eventTimes };
}

function readEventTimes(view: DataView, offset: number, found: Uint8Array): Float64Array {
  const eventTimes = new Float64Array(found.length);
  for (let row = 0; row < found.length; row++) {
    eventTimes[row] = found[row] === 1 ? readInt64(view, offset + 8 * row) : Number.NaN;
  }
  return eventTimes;
}

function merge(matrix: AnyMatrix, answer: Answer, rows: Uint32Array): void {
  scatterNumbers(answer.data, matrix.data, rows, matrix.columns);
  scatterBytes(answer.validity, matrix.validity, rows, matrix.validityStride);
  scatterBytes(answer.found, matrix.found, rows, 1);
  if (matrix.eventTimes !== null && answer.eventTimes !== null) {
    scatterNumbers(answer.eventTimes, matrix.eventTimes, rows, 1);
  }
}
