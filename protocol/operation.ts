/**
 * The operations of the protocol: the byte at offset 5 of every frame header.
 *
 *   1–15   control, any node, any port    32–47  scans and backups, a shard's scan port
 *   16–31  data, the owning shard's port  48–63  connection
 */

export const OPERATIONS = {
  HELLO: 1,
  MAP: 2,
  STATUS: 3,
  CREATE_GROUP: 4,
  GET_GROUP: 5,
  LIST_GROUPS: 6,
  DROP_GROUP: 7,
  ALTER_GROUP: 8,
  GET: 16,
  GET_MATRIX: 17,
  PUT: 18,
  DELETE: 19,
  PATCH: 20,
  ERASE: 22,
  READ_POINT: 21,
  SCAN: 32,
  SCAN_CREDIT: 33,
  SCAN_CANCEL: 34,
  BACKUP_OPEN: 35,
  BACKUP_KEYS: 36,
  BACKUP_BLOCKS: 37,
  PING: 48,
} as const;

export type OperationName = keyof typeof OPERATIONS;

const NAME_OF_OPERATION: ReadonlyMap<number, OperationName> = new Map(
  (Object.keys(OPERATIONS) as OperationName[]).map((name) => [OPERATIONS[name], name]),
);

/** The operation's name, or null when this version does not know the number. */
export function operationName(operation: number): OperationName | null {
  return NAME_OF_OPERATION.get(operation) ?? null;
}
