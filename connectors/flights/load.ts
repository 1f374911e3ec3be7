/**
 * Loads one group's rows through the client: puts of columns, several in flight, in order.
 *
 * Promises: resolves when every row is durable; rows of one key go in the order given, also at equal event times, since a batch is one
 * request a shard; memory is bounded by the batches in flight. Stops at the first failure, and on the signal.
 */
import type { Millrace } from '../../client/index.ts';
import { AckWindow } from '../files/ack-window.ts';
import { SOURCE_START } from '../files/source.ts';
import { IMPORT_BATCH_ROWS, IMPORT_PUTS_IN_FLIGHT } from '../limits.ts';
import type { Progress } from '../progress.ts';
import type { RowSet } from './groups.ts';

/** Returns the seconds it took. */
export async function loadRows(
  client: Millrace,
  rows: RowSet,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  try {
    const group = await client.createGroup(rows.spec, { ifNotExists: true });
    const startMs = performance.now();
    const window = new AckWindow(SOURCE_START, IMPORT_PUTS_IN_FLIGHT, (position) => {
      progress.update(position.row, position.row);
    });
    for (let from = 0; from < rows.rowCount && !signal.aborted; from += IMPORT_BATCH_ROWS) {
      const to = Math.min(from + IMPORT_BATCH_ROWS, rows.rowCount);
      const columns = rows.columns(from, to);
      await window.begin({ row: to, byte: 0 }, async () => {
        await client.put(group, { columns });
      });
      if (window.failure !== undefined) break;
    }
    await window.drained();
    if (window.failure !== undefined) throw window.failure;
    signal.throwIfAborted();
    return (performance.now() - startMs) / 1000;
  } finally {
    progress.stop();
  }
}
