/**
 * Export: everything in a group as one Arrow stream file, which pandas, Polars, DuckDB and Spark read.
 *
 *   node dist/client/examples/export-arrow.js localhost:7400 GROUP FILE
 *
 * The bytes go from the shards to the file undecoded; while the file is busy nothing more is asked for.
 */
import { open } from 'node:fs/promises';
import { Millrace } from '../index.ts';

const [address = 'localhost:7400', name = 'example_export', path = 'export.arrows'] = process.argv.slice(2);

const db = await Millrace.connect(address);
const group = await db.createGroup(
  { name, key: { id: 'int64' }, features: { square: 'float64' } },
  { ifNotExists: true },
);
await db.put(
  group,
  Array.from({ length: 1000 }, (_, id) => ({ id, square: id * id })),
);

const file = await open(path, 'w');
let rows = 0;
let bytes = 0;
for await (const part of db.scanBytes(group)) {
  await file.write(part.bytes);
  rows += part.rows;
  bytes += part.bytes.length;
}
await file.close();
process.stdout.write(`${rows} rows, ${bytes} bytes\n`);

await db.close();
