/**
 * The idempotency windows of a shard's partitions, each made when its first keyed row comes, and all of them as bytes for
 * an index checkpoint:
 *
 *   offset | size | field
 *   -------|------|--------------------------------------------------------------------------------
 *   0      | 4    | format version, 1
 *   4      | 4    | windows
 *          |      | for each window:
 *          | 4    |   local partition
 *          | 4    |   entries
 *          | 4    |   clients
 *          | 4    |   0
 *          | 28   |   an entry: the seven words of idempotency-window.ts, oldest first
 *          | 4    |   0, if that makes the length a multiple of 8
 *          | 32   |   a client: 0 u32, u32 id | 8 i64 newest sequence | 16 i64 newest forgotten sequence, or -1
 *          |      |           | 24 u32 its newest ordinal | 28 u32 0
 *
 * I1  What the bytes say is checked against their length before anything is allocated for it; whoever keeps them keeps a
 *     checksum too.
 * I2  After `decode` and `observe`, in any order, `settle` must be called before the first `find`.
 */
import {
  ENTRY_WORDS,
  FORGOTTEN_SEQUENCE,
  ID_HI,
  ID_LO,
  IdempotencyWindow,
  NEWEST_ORDINAL,
  NEWEST_SEQUENCE,
} from './idempotency-window.ts';
import { IDEMPOTENCY_CLIENTS_MAX, IDEMPOTENCY_ENTRIES_MAX } from './limits.ts';
import {
  FLAG_KEYED,
  REQUEST_ORDINAL_AT,
  REQUEST_RESULT_AT,
  REQUEST_SEQUENCE_AT,
  readRecordFlags,
  readRecordLsn,
  readSafeInteger,
  recordRequestKeyOffset,
  writeSafeInteger,
} from './record.ts';
import { StorageError } from './storage-error.ts';

const FORMAT_VERSION = 1;
const HEADER_BYTES = 8;
const WINDOW_HEADER_BYTES = 16;
const ENTRY_BYTES = 4 * ENTRY_WORDS;
const CLIENT_BYTES = 32;

export class IdempotencyWindows {
  private readonly windows: (IdempotencyWindow | undefined)[];

  constructor(localPartitionCount: number) {
    this.windows = new Array(localPartitionCount).fill(undefined);
  }

  /** DRAM held. */
  get bytes(): number {
    let bytes = 0;
    for (const window of this.windows) bytes += window?.bytes ?? 0;
    return bytes;
  }

  of(localPartition: number): IdempotencyWindow {
    let window = this.windows[localPartition];
    if (window === undefined) {
      window = new IdempotencyWindow();
      this.windows[localPartition] = window;
    }
    return window;
  }

  /** Takes note of a record that recovery has found, if it is keyed. */
  observe(localPartition: number, view: DataView, at: number): void {
    if ((readRecordFlags(view, at) & FLAG_KEYED) === 0) return;
    const key = recordRequestKeyOffset(view, at);
    this.of(localPartition).restore(
      view.getUint32(key, true),
      view.getUint32(key + 4, true),
      readSafeInteger(view, key + REQUEST_SEQUENCE_AT),
      view.getUint32(key + REQUEST_ORDINAL_AT, true),
      readRecordLsn(view, at),
      view.getUint8(key + REQUEST_RESULT_AT),
    );
  }

  settle(): void {
    for (const window of this.windows) window?.settle();
  }

  /** All windows, but for the rows that `isLeftOut` names by their local partition and LSN. */
  encode(isLeftOut: (localPartition: number, lsn: number) => boolean): Uint8Array {
    let bytes = HEADER_BYTES;
    let count = 0;
    for (const window of this.windows) {
      if (window === undefined) continue;
      bytes += windowBytes(window.count, window.clientCount);
      count += 1;
    }
    const encoded = new Uint8Array(bytes);
    const view = new DataView(encoded.buffer);
    view.setUint32(0, FORMAT_VERSION, true);
    view.setUint32(4, count, true);
    let at = HEADER_BYTES;
    for (const [localPartition, window] of this.windows.entries()) {
      if (window === undefined) continue;
      at = encodeWindow(view, at, localPartition, window, (lsn) => isLeftOut(localPartition, lsn));
    }
    return encoded.subarray(0, at);
  }

  /** Adds what `encode` wrote. Throws BLOCK_CORRUPT for bytes that it did not write. */
  decode(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== FORMAT_VERSION) throw malformed(0);
    const count = view.getUint32(4, true);
    let at = HEADER_BYTES;
    for (let window = 0; window < count; window++) {
      if (at + WINDOW_HEADER_BYTES > bytes.length) throw malformed(at);
      const localPartition = view.getUint32(at, true);
      const entries = view.getUint32(at + 4, true);
      const clients = view.getUint32(at + 8, true);
      const isLegal =
        localPartition < this.windows.length &&
        entries <= IDEMPOTENCY_ENTRIES_MAX &&
        clients <= IDEMPOTENCY_CLIENTS_MAX &&
        at + windowBytes(entries, clients) <= bytes.length;
      if (!isLegal) throw malformed(at);
      decodeWindow(view, at, this.of(localPartition));
      at += windowBytes(entries, clients);
    }
    if (at !== bytes.length) throw malformed(at);
  }
}

function windowBytes(entries: number, clients: number): number {
  return WINDOW_HEADER_BYTES + ((entries * ENTRY_BYTES + 7) & ~7) + clients * CLIENT_BYTES;
}

function encodeWindow(
  view: DataView,
  start: number,
  localPartition: number,
  window: IdempotencyWindow,
  isLeftOut: (lsn: number) => boolean,
): number {
  let entryCount = 0;
  let at = start + WINDOW_HEADER_BYTES;
  window.visitEntries((entries, entry, lsn) => {
    if (isLeftOut(lsn)) return;
    for (let word = 0; word < ENTRY_WORDS; word++) {
      view.setUint32(at, entries[entry + word] as number, true);
      at += 4;
    }
    entryCount += 1;
  });
  view.setUint32(start, localPartition, true);
  view.setUint32(start + 4, entryCount, true);
  view.setUint32(start + 8, window.clientCount, true);
  at = start + windowBytes(entryCount, 0);
  window.visitClients((clients, client) => {
    view.setUint32(at, clients[client + ID_LO] as number, true);
    view.setUint32(at + 4, clients[client + ID_HI] as number, true);
    writeSafeInteger(view, at + 8, clients[client + NEWEST_SEQUENCE] as number);
    writeSafeInteger(view, at + 16, clients[client + FORGOTTEN_SEQUENCE] as number);
    view.setUint32(at + 24, clients[client + NEWEST_ORDINAL] as number, true);
    at += CLIENT_BYTES;
  });
  return at;
}

function decodeWindow(view: DataView, start: number, window: IdempotencyWindow): void {
  const entries = view.getUint32(start + 4, true);
  const clients = view.getUint32(start + 8, true);
  const words = new Uint32Array(ENTRY_WORDS);
  let at = start + WINDOW_HEADER_BYTES;
  for (let entry = 0; entry < entries; entry++) {
    for (let word = 0; word < ENTRY_WORDS; word++) words[word] = view.getUint32(at + 4 * word, true);
    window.restoreWords(words, 0);
    at += ENTRY_BYTES;
  }
  at = start + windowBytes(entries, 0);
  for (let client = 0; client < clients; client++) {
    window.restoreClient(
      view.getUint32(at, true),
      view.getUint32(at + 4, true),
      readSafeInteger(view, at + 8),
      view.getUint32(at + 24, true),
      readSafeInteger(view, at + 16),
    );
    at += CLIENT_BYTES;
  }
}

function malformed(at: number): StorageError {
  return new StorageError(
    'BLOCK_CORRUPT',
    `the idempotency windows of an index checkpoint are malformed at byte ${at}`,
  );
}
