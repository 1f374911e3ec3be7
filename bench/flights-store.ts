/**
 * Loading the flights into a node by frames made ahead: the client costs nothing, so the shard is what is measured.
 */

import type { Group } from '../client/index.ts';
import {
  ByteWriter,
  compileLayout,
  encodeKeys,
  encodePutRequest,
  encodeRowColumns,
} from '../protocol/index.ts';
import { type Flights, sliceColumns } from './flights-data.ts';
import type { MillraceServer } from './millrace-server.ts';
import { sendFrames } from './raw-connection.ts';

/** Rows a request: large enough that its fixed cost vanishes, small enough for many to be under way. */
const PUT_ROWS = 8192;
/** Requests in flight: the shard never waits for the next one while a commit is on its way to the disk. */
const WINDOW = 6;

/** The PUT frames of rows [from, to), as the client would send them to a node of one shard. */
export function flightFrames(flights: Flights, group: Group, from: number, to: number): Uint8Array[] {
  const { schema } = group;
  const layout = compileLayout(schema);
  const frames: Uint8Array[] = [];
  for (let start = from; start < to; start += PUT_ROWS) {
    const end = Math.min(to, start + PUT_ROWS);
    const columns = sliceColumns(flights, start, end);
    const rows = new ByteWriter();
    const rowOffsets = new Uint32Array(end - start + 1);
    encodeRowColumns(layout, columns, 0, end - start, rows, rowOffsets);
    const writer = new ByteWriter();
    const request = {
      groupId: schema.id,
      schemaVersion: schema.version,
      eventTimes: flights.eventTimes.subarray(start, end),
      keys: encodeKeys(schema.key, columns['flight_id']!),
      rows: rows.bytes,
      rowOffsets,
    };
    encodePutRequest(writer, { correlationId: frames.length + 1 }, request);
    frames.push(writer.finish());
  }
  return frames;
}

/** Sends prepared frames to shard 0 and waits until all are durable. */
export function loadFrames(server: MillraceServer, frames: readonly Uint8Array[]): Promise<void> {
  return sendFrames(server.host, server.port, frames, WINDOW);
}
