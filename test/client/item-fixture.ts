/** A fake server, a client connected to it, and a group `item` of both: what most tests of the client begin with. */
import type { TestContext } from 'node:test';
import { type ConnectOptions, type Group, Millrace, type PutRow } from '../../client/index.ts';
import type { GroupSchema } from '../../protocol/index.ts';
import { FakeServer } from './fake-server.ts';

export const ITEM_SPEC = {
  name: 'item',
  key: { id: 'int64' },
  features: { a: 'float32', b: 'string' },
} as const;

/** What a row of `item` is read as. */
export interface ItemRow {
  id: bigint;
  event_time: number;
  a: number | null;
  b: string | null;
}

export interface ItemFixture {
  server: FakeServer;
  db: Millrace;
  item: Group<ItemRow, PutRow, number>;
  schema: GroupSchema;
}

export async function startItems(
  context: TestContext,
  options: ConnectOptions & { shards?: number } = {},
): Promise<ItemFixture> {
  const server = await FakeServer.start(context, options.shards ?? 1);
  const db = await Millrace.connect(server.address, { closeTimeoutMs: 1000, ...options });
  context.after(() => db.close());
  const item = await db.createGroup(ITEM_SPEC);
  return { server, db, item: item as ItemFixture['item'], schema: item.schema };
}

/** The row of key n: a = n. Odd keys have none. */
export function itemOf({ id }: Record<string, unknown>): Record<string, unknown> | null {
  return Number(id) % 2 === 0 ? { a: Number(id), b: `item ${id}` } : null;
}
