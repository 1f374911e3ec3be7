/** One shard's scan: whose silence counts, and against whom. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ClientContext } from '../../client/context.ts';
import { Dispatcher } from '../../client/dispatcher.ts';
import type { MillraceError } from '../../client/errors.ts';
import { parseAddress, resolveOptions } from '../../client/options.ts';
import { type ScanData, type ScanSink, ScanStream } from '../../client/scan-stream.ts';
import type { ScanSummary } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { type FakeScan, serveScans } from './fake-scan.ts';
import { FakeServer } from './fake-server.ts';

/** A sink whose next event is awaited. */
class Events implements ScanSink {
  private readonly waiting: (ScanData | ScanSummary | MillraceError)[] = [];
  private taker: ((event: ScanData | ScanSummary | MillraceError) => void) | null = null;

  next(): Promise<ScanData | ScanSummary | MillraceError> {
    const event = this.waiting.shift();
    if (event !== undefined) return Promise.resolve(event);
    return new Promise((resolve) => {
      this.taker = resolve;
    });
  }

  onData(data: ScanData): void {
    this.add(data);
  }

  onEnd(summary: ScanSummary): void {
    this.add(summary);
  }

  onFailure(error: MillraceError): void {
    this.add(error);
  }

  private add(event: ScanData | ScanSummary | MillraceError): void {
    if (this.taker === null) this.waiting.push(event);
    else this.taker(event);
    this.taker = null;
  }
}

async function start(
  context: TestContext,
  creditBytes: number,
  serve: (scan: FakeScan) => void,
  onCredit?: (scan: FakeScan) => void,
): Promise<{ stream: ScanStream; events: Events }> {
  const server = await FakeServer.start(context);
  serveScans(server, serve, onCredit);
  const dispatcher = await Dispatcher.open(
    parseAddress(server.address),
    new ClientContext(resolveOptions({})),
  );
  context.after(() => dispatcher.close());
  const events = new Events();
  const { scanPort } = server.map().nodes[0]!.shards[0]!;
  const request = { group: 'g', partitions: null, columns: null, batchRows: 10, creditBytes };
  const stream = new ScanStream(dispatcher, { host: '127.0.0.1', port: scanPort }, request, events);
  context.after(() => stream.stop());
  stream.start();
  return { stream, events };
}

const LONG_AFTER_MS = 1e9;

test('a shard without credit may be silent for ever', async (context) => {
  const { stream, events } = await start(
    context,
    1,
    (scan) => scan.send([1]),
    (scan) => {
      scan.send([2]);
      scan.end();
    },
  );
  const first = (await events.next()) as ScanData;
  assert.equal(first.isFirst, true);
  stream.checkIdle(performance.now() + LONG_AFTER_MS);
  stream.giveCredit(first.bytes.length);
  const second = (await events.next()) as ScanData;
  assert.deepEqual([second.isFirst, second.rows], [false, 1]);
  assert.deepEqual(await events.next(), { rows: 2, bytes: 0, partitions: 1 });
});

test('a shard with credit may not', async (context) => {
  const { stream, events } = await start(context, 1_000_000, (scan) => scan.send([1]));
  await events.next();
  stream.checkIdle(performance.now());
  stream.checkIdle(performance.now() + LONG_AFTER_MS);
  assert.ok(failure('TIMEOUT')(await events.next()));
});

test("the bytes of a frame are the consumer's own and begin on an 8-byte boundary", async (context) => {
  const { events } = await start(context, 1_000_000, (scan) => {
    scan.send([1]);
    scan.send(Array.from({ length: 200_000 }, (_, i) => i));
    scan.send([2]);
    scan.end();
  });
  const all = [await events.next(), await events.next(), await events.next()] as ScanData[];
  for (const { bytes } of all) assert.equal(bytes.byteOffset % 8, 0);
  assert.equal(new Set(all.map(({ bytes }) => bytes.buffer)).size, 3);
});
