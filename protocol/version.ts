/**
 * The protocol's version, and its history.
 *
 * Every frame carries a version byte. HELLO frames carry HELLO_HEADER_VERSION for ever, so that peers of any two
 * versions can read each other's greeting; all later frames carry the version that HELLO chose.
 * test/golden/ holds the bytes of every message and a hash over them: a change there without an entry here fails.
 *
 *   1  first version: HELLO, MAP, STATUS, CREATE_GROUP, GET_GROUP, LIST_GROUPS, DROP_GROUP, ALTER_GROUP, GET,
 *      GET_MATRIX, PUT, DELETE, PATCH, ERASE, SCAN, SCAN_CREDIT, SCAN_CANCEL, BACKUP_OPEN,
 *      BACKUP_KEYS, BACKUP_BLOCKS, PING.
 */

export const PROTOCOL_VERSION = 1;

/** The lowest version this build still speaks. */
export const PROTOCOL_VERSION_MIN = 1;

/** The version byte of HELLO frames and of errors raised before HELLO was answered. */
export const HELLO_HEADER_VERSION = 1;

/** The highest version both ranges hold, or 0 when they do not overlap. */
export function chooseVersion(minVersion: number, maxVersion: number): number {
  const highest = Math.min(maxVersion, PROTOCOL_VERSION);
  return highest >= Math.max(minVersion, PROTOCOL_VERSION_MIN) ? highest : 0;
}
