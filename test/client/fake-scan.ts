/** Arrow data for fake scans: frames of one int32 column, as a server's scan thread would send them. */
import { Field, Int32, makeData, RecordBatch, RecordBatchStreamWriter, Schema, Struct } from 'apache-arrow';
import {
  decodeScanCreditRequest,
  decodeScanRequest,
  encodeScanData,
  encodeScanEnd,
  OPERATIONS,
  type ScanRequest,
} from '../../protocol/index.ts';
import type { FakeRequest, FakeServer } from './fake-server.ts';

const SCHEMA = new Schema([new Field('n', new Int32(), false)]);

/** The bytes of a stream's schema message, and of one batch message. */
export function arrowMessages(values: readonly number[]): { schema: Uint8Array; batch: Uint8Array } {
  const n = makeData({ type: new Int32(), data: Int32Array.from(values) });
  const data = makeData({ type: new Struct(SCHEMA.fields), length: values.length, children: [n] });
  const bytes = RecordBatchStreamWriter.writeAll([new RecordBatch(SCHEMA, data)]).toUint8Array(true);
  const schemaEnd = 8 + new DataView(bytes.buffer, bytes.byteOffset).getInt32(4, true);
  // The last 8 bytes are the end of the stream.
  return { schema: bytes.slice(0, schemaEnd), batch: bytes.slice(schemaEnd, bytes.length - 8) };
}

/** One scan as the server sees it: data goes out while there is credit. */
export class FakeScan {
  readonly request: FakeRequest;
  readonly asked: ScanRequest;
  creditBytes: number;
  sentRows = 0;
  private hasSchema = false;

  constructor(request: FakeRequest) {
    this.request = request;
    this.asked = decodeScanRequest(request.frame);
    this.creditBytes = this.asked.creditBytes;
  }

  /** Sends one frame; answers its Arrow bytes. */
  send(values: readonly number[], partition: number = 0): number {
    const { schema, batch } = arrowMessages(values);
    const isFirst = !this.hasSchema;
    const parts = [...(isFirst ? [schema] : []), ...(values.length > 0 ? [batch] : [])];
    this.hasSchema = true;
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    this.creditBytes -= bytes;
    this.sentRows += values.length;
    this.request.answer((writer, id) => encodeScanData(writer, id, partition, values.length, parts));
    return bytes;
  }

  end(): void {
    this.request.answer((writer, id) =>
      encodeScanEnd(writer, id, { rows: this.sentRows, bytes: 0, partitions: 1 }),
    );
  }
}

/** Runs `serve` for each scan that begins; credit is added to its scan, then `onCredit` is called. */
export function serveScans(
  server: FakeServer,
  serve: (scan: FakeScan) => void,
  onCredit: (scan: FakeScan) => void = () => undefined,
): void {
  const scans = new Map<string, FakeScan>();
  const nameOf = (request: FakeRequest, id: number): string => `${request.socket.remotePort}:${id}`;
  server.on(OPERATIONS.SCAN, (request) => {
    const scan = new FakeScan(request);
    scans.set(nameOf(request, request.id), scan);
    serve(scan);
  });
  server.on(OPERATIONS.SCAN_CREDIT, (request) => {
    const { scanCorrelationId, bytes } = decodeScanCreditRequest(request.frame);
    const scan = scans.get(nameOf(request, scanCorrelationId));
    if (scan === undefined) return;
    scan.creditBytes += bytes;
    onCredit(scan);
  });
}
