/** A real node's scan ports, over sockets: what was put is scanned, in both places it may be, beside lookups. */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type Table, tableFromIPC } from 'apache-arrow';
import {
  decodeScanData,
  decodeScanEnd,
  encodeDeleteRequest,
  encodeDropGroupRequest,
  encodeKeys,
  encodeScanCancelRequest,
  encodeScanCreditRequest,
  encodeScanRequest,
  type GroupSchema,
  type ScanRequest,
  type ScanSummary,
} from '../../protocol/index.ts';
import type { RunningNode } from '../../server/index.ts';
import { errorOf, RawConnection } from '../support/raw-connection.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { assertAlive, createGroup, EVENT_TIME, put, startTestNode } from '../support/test-node.ts';

const FEATURES = [
  { name: 'n', type: 'int32' as const },
  { name: 's', type: 'string' as const },
];
const SCAN_ID = 50;

interface Scanned {
  readonly table: Table;
  readonly summary: ScanSummary;
  readonly frames: number;
}

async function connected(context: TestContext, port: number): Promise<RawConnection> {
  const connection = await RawConnection.greeted(port);
  context.after(() => connection.destroy());
  return connection;
}

function begin(connection: RawConnection, request: Partial<ScanRequest> = {}): void {
  connection.request((writer) =>
    encodeScanRequest(
      writer,
      { correlationId: SCAN_ID },
      { group: 'g', partitions: null, columns: null, batchRows: 65536, creditBytes: 1 << 30, ...request },
    ),
  );
}

function grant(connection: RawConnection, bytes: number): void {
  connection.request((writer) =>
    encodeScanCreditRequest(writer, { correlationId: 51 }, { scanCorrelationId: SCAN_ID, bytes }),
  );
}

/** Scans to the end; what a data frame takes is granted again. */
async function scan(
  context: TestContext,
  port: number,
  request: Partial<ScanRequest> = {},
): Promise<Scanned> {
  const connection = await connected(context, port);
  begin(connection, request);
  const parts: Uint8Array[] = [];
  for (;;) {
    const response = await connection.response(SCAN_ID);
    assert.equal(response.status, 0, response.status === 0 ? '' : errorOf(response).message);
    if (response.flags === 0) {
      connection.destroy();
      return {
        table: tableFromIPC(Buffer.concat(parts)),
        summary: decodeScanEnd(response.frame),
        frames: parts.length,
      };
    }
    const { from, to } = decodeScanData(response.frame);
    parts.push(response.frame.bytes.slice(from, to));
    grant(connection, to - from);
  }
}

function scanPorts(node: RunningNode): number[] {
  return node.map.nodes[0]!.shards.map((shard) => shard.scanPort);
}

function idsOf(table: Table): number[] {
  return [...(table.getChild('id') ?? [])].map(Number);
}

/** Writes ids [from, to) through every shard's own connection: each takes what it owns. */
async function putAll(
  context: TestContext,
  node: RunningNode,
  group: GroupSchema,
  from: number,
  to: number,
): Promise<void> {
  const connection = await connected(context, node.port);
  for (let id = from; id < to; id += 10_000) {
    const rows = Array.from({ length: Math.min(10_000, to - id) }, (_, index) => ({
      id: id + index,
      values: { n: id + index, s: `text ${id + index}` },
      eventTime: EVENT_TIME + id + index,
    }));
    await put(connection, group, rows);
  }
  connection.destroy();
}

test('a scan answers every live row once, from blocks and from the write buffer', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context), { writeBufferBytes: 2 << 20 });
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  const rows = 60_000;
  await putAll(context, node, group, 0, rows);
  await put(connection, group, [{ id: 5, values: { n: -5 }, eventTime: EVENT_TIME + 1e6 }]);
  await put(connection, group, [{ id: 6, values: { n: -6 }, eventTime: EVENT_TIME - 1e6 }]);
  const deleted = await connection.exchange(9, (writer) =>
    encodeDeleteRequest(
      writer,
      { correlationId: 9 },
      {
        groupId: group.id,
        keys: encodeKeys(group.key, [7]),
        eventTimes: Float64Array.of(EVENT_TIME + 1e6),
      },
    ),
  );
  assert.equal(deleted.status, 0);
  const { table, summary, frames } = await scan(context, scanPorts(node)[0]!, { creditBytes: 200_000 });
  assert.equal(table.numRows, rows - 1);
  assert.equal(summary.rows, rows - 1);
  assert.ok(frames > 10, `${frames} frames of about 100 KB`);
  const ids = idsOf(table);
  assert.deepEqual(
    [...ids].sort((a, b) => a - b),
    Array.from({ length: rows }, (_, id) => id).filter((id) => id !== 7),
  );
  const n = table.getChild('n')!;
  const s = table.getChild('s')!;
  const time = table.getChild('event_time')!;
  assert.deepEqual([n.get(ids.indexOf(5)), s.get(ids.indexOf(5))], [-5, null]);
  assert.deepEqual([n.get(ids.indexOf(6)), s.get(ids.indexOf(6))], [6, 'text 6']);
  assert.equal(time.get(ids.indexOf(100)), (EVENT_TIME + 100) / 1000);
});

test('shards scan their own partitions, and together all', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context), { shards: 2 });
  const [first, second] = await Promise.all(node.ports.map((port) => connected(context, port)));
  const group = await createGroup(first!, 'g', FEATURES);
  for (let id = 0; id < 400; id++) {
    const row = { id, values: { n: id, s: 'x' } };
    await put(first!, group, [row]).catch(() => put(second!, group, [row]));
  }
  const results = await Promise.all(scanPorts(node).map((port) => scan(context, port)));
  const ids = results.flatMap(({ table }) => idsOf(table));
  assert.equal(ids.length, 400);
  assert.equal(new Set(ids).size, 400);
  assert.deepEqual(
    results.map(({ summary }) => summary.partitions),
    [2048, 2048],
  );
  const half = await scan(context, scanPorts(node)[0]!, { partitions: [[0, 2048]], columns: ['n'] });
  assert.equal(half.summary.partitions, 1024);
  assert.deepEqual(half.table.schema.names, ['n']);
});

test('a scan waits for credit, and is cancelled', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  await putAll(context, node, group, 0, 20_000);
  const scanning = await connected(context, scanPorts(node)[0]!);
  begin(scanning, { creditBytes: 1 });
  await scanning.response(SCAN_ID);
  grant(scanning, 100_000);
  const second = await scanning.response(SCAN_ID);
  assert.ok(decodeScanData(second.frame).rowCount > 0);
  scanning.request((writer) => encodeScanCancelRequest(writer, { correlationId: 52 }, SCAN_ID));
  const last = await scanning.response(SCAN_ID);
  assert.equal(errorOf(last).code, 'CANCELLED');
  await assertAlive(scanPorts(node)[0]!);
});

test('a dropped group and an unknown one are not found', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  await put(connection, group, [{ id: 1, values: { n: 1 } }]);
  await connection.exchange(8, (writer) => encodeDropGroupRequest(writer, { correlationId: 8 }, 'g'));
  const scanning = await connected(context, scanPorts(node)[0]!);
  begin(scanning);
  assert.equal(errorOf(await scanning.response(SCAN_ID)).code, 'GROUP_NOT_FOUND');
});

test('a node closes while a scan waits for credit, and says so', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  await putAll(context, node, group, 0, 20_000);
  const scanning = await connected(context, scanPorts(node)[0]!);
  begin(scanning, { creditBytes: 1 });
  await scanning.response(SCAN_ID);
  const closing = node.close();
  assert.equal(errorOf(await scanning.response(SCAN_ID)).code, 'SHUTTING_DOWN');
  scanning.destroy();
  connection.destroy();
  await closing;
});

test('scan threads run at the lowest priority, and no other thread does', async (context) => {
  if (process.platform !== 'linux') return;
  await startTestNode(context, temporaryDirectory(context), { shards: 2 });
  const nices = readdirSync('/proc/self/task').map((thread) => {
    const text = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[16]);
  });
  assert.equal(nices.filter((nice) => nice === 19).length, 2);
});
