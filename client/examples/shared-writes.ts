/**
 * Rows that several programs change at once: the server merges patches, and a write on condition happens only when nobody
 * else wrote meanwhile. Both are applied once, however often their connection is lost.
 *
 *   millrace serve --data ./data        then        node dist/client/examples/shared-writes.js localhost:7400
 */
import { add, append, Millrace, type MillraceError, max } from '../index.ts';

const db = await Millrace.connect(process.argv[2] ?? 'localhost:7400');
const user = await db.createGroup(
  {
    name: 'example_visitor',
    key: { id: 'int64' },
    features: {
      clicks: 'int64',
      longest: 'float32',
      page: 'string',
      recent: { type: 'list', item: 'int64' },
      credit: 'int32',
    },
  },
  { ifNotExists: true },
);
await db.delete(user, [7]);

// A hundred clicks at once: none is lost, and the last five items are kept. Nobody read the row for it.
await Promise.all(
  Array.from({ length: 100 }, (_, item) =>
    db.patch(user, [{ id: 7, clicks: add(1), longest: max(item / 8), recent: append(item, { max: 5 }) }]),
  ),
);
await db.patch(user, [{ id: 7, page: '/cart', credit: 10 }]);
const after = await db.get(user, 7);
print('clicks', after?.clicks, 'longest', after?.longest, 'recent', after?.recent?.length, after?.page);

// Read, decide, write: on the version that was read.
async function spend(amount: number): Promise<boolean> {
  for (;;) {
    const [found] = await db.getVersioned(user, [7]);
    if (found?.row == null || (found.row.credit ?? 0) < amount) return false;
    try {
      const credit = found.row.credit! - amount;
      await db.patch(user, [{ id: 7, credit }], { ifVersion: found.version });
      return true;
    } catch (error) {
      // Somebody else was first: look again.
      if ((error as MillraceError).code !== 'VERSION_MISMATCH') throw error;
    }
  }
}
const spent = await Promise.all([spend(4), spend(4), spend(4)]);
print('spent', spent.filter(Boolean).length, 'times, left', (await db.get(user, 7))?.credit);

// A batch answers row by row; one row alone would reject.
const tomorrow = new Date(Date.now() + 86_400_000);
const result = await db.put(user, [{ id: 8 }, { id: 9, event_time: tomorrow }]);
for (const { row, code } of result.refusals) print('row', row, 'was refused:', code);

await db.close();

function print(...values: unknown[]): void {
  process.stdout.write(`${values.map(String).join(' ')}\n`);
}
