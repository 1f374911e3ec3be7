/**
 * Inference: score a hundred candidates for one user, with features from two groups, in two round trips at once.
 *
 *   node dist/client/examples/inference.js localhost:7400
 *
 * `getMatrix` gives what a model takes: one Float32Array, and a mask of what is missing.
 */
import { Millrace } from '../index.ts';

const DIMENSIONS = 8;
const CANDIDATES = 100;

const db = await Millrace.connect(process.argv[2] ?? 'localhost:7400', { timeoutMs: 1000 });
const embedding = { type: 'vector', length: DIMENSIONS } as const;
const user = await db.createGroup(
  { name: 'example_user', key: { id: 'int64' }, features: { taste: embedding } },
  { ifNotExists: true },
);
const item = await db.createGroup(
  { name: 'example_item', key: { id: 'int64' }, features: { style: embedding, popularity: 'float32' } },
  { ifNotExists: true },
);

const vector = (seed: number): Float32Array =>
  Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.sin(seed * (i + 1)));
await db.put(user, [{ id: 1, taste: vector(1) }]);
await db.put(
  item,
  Array.from({ length: CANDIDATES }, (_, id) => ({ id, style: vector(id), popularity: id % 10 })),
);

const candidates = Array.from({ length: CANDIDATES }, (_, id) => id);
const [taste, items] = await Promise.all([
  db.getMatrix(user, [1], { features: ['taste'] }),
  db.getMatrix(item, candidates, { features: ['style', 'popularity'] }),
]);

// The model: taste · style, and a little popularity. Row r of the matrix is candidate r.
const { data, rows, columns } = items;
let best = { id: -1, score: Number.NEGATIVE_INFINITY };
for (let row = 0; row < rows; row++) {
  if (items.found[row] === 0) continue;
  let score = 0.01 * data[row * columns + DIMENSIONS]!;
  for (let k = 0; k < DIMENSIONS; k++) score += taste.data[k]! * data[row * columns + k]!;
  if (score > best.score) best = { id: candidates[row]!, score };
}
process.stdout.write(`best of ${rows}: item ${best.id} with ${best.score.toFixed(3)}\n`);

await db.close();
