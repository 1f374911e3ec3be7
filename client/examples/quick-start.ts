/**
 * Quick start: a group, a few rows, and the three ways of reading them.
 *
 *   millrace serve --data ./data        then        node dist/client/examples/quick-start.js localhost:7400
 *
 * In a program of your own: import { Millrace } from 'millrace'.
 */
import { Millrace } from '../index.ts';

const db = await Millrace.connect(process.argv[2] ?? 'localhost:7400');

// The declaration is also the rows' type: `delay` below is a number or null.
const airport = await db.createGroup(
  {
    name: 'example_airport',
    key: { origin: 'string' },
    features: { delay: 'float32', departures: 'int32', embedding: { type: 'vector', length: 2 } },
  },
  { ifNotExists: true },
);

await db.put(airport, [
  { origin: 'SFO', delay: 12.5, departures: 3, embedding: [0.5, 1] },
  { origin: 'JFK', delay: 7, departures: 5 },
]);

const row = await db.get(airport, 'SFO');
print('one row', row?.delay, row?.departures, row?.embedding);

const rows = await db.getMany(airport, ['JFK', 'nowhere'], { features: ['delay'] });
print('many rows', rows[0]?.delay, rows[1]);

const matrix = await db.getMatrix(airport, ['SFO', 'JFK', 'nowhere'], { features: ['delay', 'embedding'] });
print('a matrix of', matrix.columnNames, matrix.data, 'found', matrix.found);

for await (const batch of db.scan(airport, { columns: ['origin', 'delay'] })) {
  for (const { origin, delay } of batch) print('scanned', origin, delay);
}

await db.close();

function print(...values: unknown[]): void {
  process.stdout.write(`${values.map(String).join(' ')}\n`);
}
