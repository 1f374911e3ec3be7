/**
 * Bulk load: a hundred thousand rows as columns, without an object a row.
 *
 *   node dist/client/examples/bulk-load.js localhost:7400
 *
 * Every row names its event time, so repeating a put after a lost connection changes no lookup: `retryWrites` is safe.
 */
import { Millrace, MillraceError } from '../index.ts';

const ROWS = 100_000;

const db = await Millrace.connect(process.argv[2] ?? 'localhost:7400', { retryWrites: true });
const reading = await db.createGroup(
  {
    name: 'example_reading',
    key: { sensor: 'int64' },
    features: { celsius: 'float32', place: 'string' },
    ttlSeconds: 7 * 86_400,
  },
  { ifNotExists: true },
);

const nowMicros = Date.now() * 1000;
const columns = {
  sensor: Float64Array.from({ length: ROWS }, (_, i) => i),
  event_time: Float64Array.from({ length: ROWS }, (_, i) => nowMicros - i),
  celsius: Float32Array.from({ length: ROWS }, (_, i) => 20 + (i % 100) / 10),
  place: Array.from({ length: ROWS }, (_, i) => `hall ${i % 7}`),
};

const startMs = performance.now();
const { applied, superseded } = await db.put(reading, { columns });
const seconds = (performance.now() - startMs) / 1000;
process.stdout.write(
  `${applied} rows applied, ${superseded} superseded, ${Math.round(ROWS / seconds)} rows/s, all durable\n`,
);

// What is wrong with a row is said before anything of its chunk is sent.
try {
  await db.put(reading, [{ sensor: 1, celsius: 20 }, { sensor: 1.5 }]);
} catch (error) {
  if (!(error instanceof MillraceError)) throw error;
  process.stdout.write(`refused: ${error.code}, ${error.message}\n`);
}

await db.close();
