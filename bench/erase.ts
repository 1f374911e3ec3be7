/**
 * Erasure: how long `millrace erase` takes of one row of a million, while the node is otherwise at rest.
 *
 * The time is the node's own: from the request to the proof, which reads every file. The first erasure sweeps all that was loaded;
 * the ones behind it find level 0 small.
 */
import type { Benchmark } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { startMillrace } from './millrace-server.ts';
import { formatMs } from './statistics.ts';

const ROWS = 1_000_000;
const PUT_ROWS = 50_000;
const VECTOR_LENGTH = 40;
const ERASURES = 5;

export const erase: Benchmark = (context) =>
  withDirectory(async (directory) => {
    const rowCount = context.isQuick ? 20_000 : ROWS;
    const server = await startMillrace(directory);
    const { client } = server;
    const group = await client.createGroup({
      name: 'item',
      key: { id: 'int64' },
      features: { vector: { type: 'vector', length: VECTOR_LENGTH } },
    });
    context.say(`loads ${rowCount} rows`);
    for (let from = 0; from < rowCount; from += PUT_ROWS) {
      const count = Math.min(PUT_ROWS, rowCount - from);
      const id = Array.from({ length: count }, (_, index) => from + index);
      const vector = Float32Array.from({ length: count * VECTOR_LENGTH }, Math.random);
      await client.put(group, { columns: { id, vector } });
    }
    const erasures = [];
    for (let number = 0; number < ERASURES; number++) {
      const id = Math.floor(((number + 0.5) / ERASURES) * rowCount);
      erasures.push(await client.erase('item', id));
      if ((await client.get(group, id)) !== null) throw new Error(`row ${id} was erased and is there`);
    }
    await server.close();
    return {
      name: 'erase',
      title: 'Erasure of one row of a million',
      setup: [
        `One shard with ${rowCount.toLocaleString('en')} rows of ${VECTOR_LENGTH} float32, no other load. Erased one after the other; each time includes`,
        'the search of every file that proves it.',
      ],
      tables: [
        {
          title: 'time of each erasure',
          columns: ['erasure', 'time', 'files searched', 'MiB searched'],
          rows: erasures.map(({ milliseconds, files, bytes }, number) => [
            String(number + 1),
            formatMs(milliseconds),
            String(files),
            String(Math.round(bytes / 2 ** 20)),
          ]),
        },
      ],
      goals: [],
    };
  });
