/**
 * GET: looks the keys up and copies their rows straight from the store's arenas into the response.
 *
 *   decode keys -> digests -> store.read: places -> measure -> reserve -> copy
 *
 * All in one turn, with no object a key. Two passes over the places: the first sums the rows' bytes, because the frame's
 * length stands before them; the second copies. Between them nothing calls the store, so the places hold.
 */
import {
  decodeGetRequest,
  FRAME_BYTES_MAX,
  type Frame,
  GET_ROW_OFFSETS_AT,
  getEventTimesAt,
  getLsnsAt,
  getRowsAt,
  OPERATIONS,
  ProtocolError,
  RESPONSE_HEADER_BYTES,
  readGroupId,
} from '../../protocol/index.ts';
import { type ArenaTable, RECORD_MISSING, type ReadBatch, recordPayloadOffset } from '../../storage/index.ts';
import type { Operation, ResponseBytes, SessionContext } from '../operation.ts';
import { copyRecordTimes, copyRow } from '../record-copy.ts';
import { correlationIdOf } from '../request-fields.ts';
import type { ShardServices } from '../shard-services.ts';

export function getOperation(shard: ShardServices): Operation {
  const { groups, keys, batch, store } = shard;
  return {
    number: OPERATIONS.GET,
    handle(context: SessionContext, frame: Frame): void {
      const group = groups.byId(readGroupId(frame));
      decodeGetRequest(frame, group.schema.key, keys);
      shard.read(group.schema.id, keys, context.receivedAtMicros);
      const bodyBytes = getRowsAt(keys.count) + measureRows(batch, store.arenas);
      if (bodyBytes > FRAME_BYTES_MAX - RESPONSE_HEADER_BYTES) refuseSize(keys.count, bodyBytes);
      const body = context.reserve(OPERATIONS.GET, correlationIdOf(frame), bodyBytes, 0);
      writeRows(batch, store.arenas, context.output, body);
    },
  };
}

/** Bytes of all rows found. */
function measureRows(batch: ReadBatch, arenas: ArenaTable): number {
  let bytes = 0;
  for (let index = 0; index < batch.count; index++) {
    const record = batch.offset[index]!;
    if (record === RECORD_MISSING) continue;
    const { view, words } = arenas.get(batch.arena[index]!);
    bytes += record + words[record >>> 2]! - recordPayloadOffset(view, record);
  }
  return bytes;
}

/** Fills the body at `body`, every byte of it. */
function writeRows(batch: ReadBatch, arenas: ArenaTable, output: ResponseBytes, body: number): void {
  const { count } = batch;
  const { words } = output;
  const offsetsWord = (body + GET_ROW_OFFSETS_AT) >>> 2;
  const timesWord = (body + getEventTimesAt(count)) >>> 2;
  const lsnsWord = (body + getLsnsAt(count)) >>> 2;
  const rowsAt = body + getRowsAt(count);
  words[body >>> 2] = count;
  words[(body >>> 2) + 1] = 0;
  // Padding of an even count + 1 is none; of an odd one it is the word before the event times.
  words[timesWord - 1] = 0;
  words[offsetsWord] = 0;
  let end = 0;
  for (let index = 0; index < count; index++) {
    const record = batch.offset[index]!;
    if (record === RECORD_MISSING) {
      clearTimes(words, timesWord + 2 * index, lsnsWord + 2 * index);
    } else {
      const arena = arenas.get(batch.arena[index]!);
      copyRecordTimes(arena.words, record, words, timesWord + 2 * index, lsnsWord + 2 * index);
      const row = recordPayloadOffset(arena.view, record);
      const rowBytes = record + arena.words[record >>> 2]! - row;
      copyRow(arena, row, rowBytes, output, rowsAt + end);
      end += rowBytes;
    }
    words[offsetsWord + index + 1] = end;
  }
}

function clearTimes(words: Uint32Array, timeWord: number, lsnWord: number): void {
  words[timeWord] = 0;
  words[timeWord + 1] = 0;
  words[lsnWord] = 0;
  words[lsnWord + 1] = 0;
}

function refuseSize(count: number, bytes: number): never {
  throw new ProtocolError(
    'BATCH_TOO_LARGE',
    `the rows of these ${count} keys take ${bytes} bytes, and one response at most ${FRAME_BYTES_MAX}: ask for fewer`,
  );
}
