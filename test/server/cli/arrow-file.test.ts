/** The Arrow file writer against apache-arrow's own reader, for parts of one and of several batches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Table, tableFromIPC, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
import type { ScanPart } from '../../../client/index.ts';
import { ArrowFileWriter } from '../../../server/cli/arrow-file.ts';

/** The messages of a table as an Arrow stream: the schema, the batches, the end. */
function messages(table: Table): Uint8Array[] {
  const stream = tableToIPC(table, 'stream');
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const parts: Uint8Array[] = [];
  const schemaEnd = 8 + view.getInt32(4, true);
  parts.push(
    stream.subarray(0, schemaEnd),
    stream.subarray(schemaEnd, stream.length - 8),
    stream.subarray(stream.length - 8),
  );
  return parts;
}

async function write(parts: readonly ScanPart[]): Promise<Buffer> {
  const written: Buffer[] = [];
  const writer = new ArrowFileWriter({
    write: async (bytes) => {
      written.push(Buffer.from(bytes));
    },
  });
  for (const part of parts) await writer.write(part);
  await writer.finish();
  return Buffer.concat(written);
}

function tableOf(rows: number): Table {
  return new Table({
    n: vectorFromArray(Int32Array.from({ length: rows }, (_, i) => i)),
    t: vectorFromArray(
      Array.from({ length: rows }, (_, i) => `row ${i}`.repeat(i % 3)),
      new Utf8(),
    ),
  });
}

test('a file has every batch of its parts, in order', async () => {
  const tables = [1, 1000, 7].map(tableOf);
  const [schema, , end] = messages(tables[0]!);
  const bodies = tables.map((table) => messages(table)[1]!);
  const both = Buffer.concat([bodies[1]!, bodies[2]!]);
  const file = await write([
    { rows: 0, partition: -1, bytes: schema! },
    { rows: 1, partition: 0, bytes: bodies[0]! },
    { rows: 1007, partition: 9, bytes: both },
    { rows: 0, partition: -1, bytes: end! },
  ]);
  const table = tableFromIPC(file);
  assert.deepEqual(
    table.batches.map((batch) => batch.numRows),
    [1, 1000, 7],
  );
  assert.equal(table.getChild('t')!.get(1 + 998), 'row 998row 998');
});

test('a scan without rows is a file without batches', async () => {
  const [schema, , end] = messages(tableOf(1));
  const table = tableFromIPC(
    await write([
      { rows: 0, partition: -1, bytes: schema! },
      { rows: 0, partition: -1, bytes: end! },
    ]),
  );
  assert.equal(table.numRows, 0);
  assert.equal(table.schema.fields.length, 2);
});

test('bytes that are no whole messages are refused, and so is a scan without a schema', async () => {
  const [schema, body] = messages(tableOf(5));
  await assert.rejects(
    write([
      { rows: 0, partition: -1, bytes: schema! },
      { rows: 5, partition: 0, bytes: body!.subarray(0, body!.length - 8) },
    ]),
    { code: 'INTERNAL' },
  );
  await assert.rejects(write([]), { code: 'INTERNAL' });
});
