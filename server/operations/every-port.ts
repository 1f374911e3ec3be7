/** The operations that every port of a node serves, whatever its role. */

import { OPERATIONS } from '../../protocol/index.ts';
import type { ControlLink } from '../control-link.ts';
import type { Operation } from '../operation.ts';
import type { WorkerThread } from '../worker-thread.ts';
import { helloOperation } from './hello.ts';
import { mapOperation } from './map.ts';
import { pingOperation } from './ping.ts';

/** The main thread's, because it alone holds the catalog and knows every thread. */
const FORWARDED: readonly number[] = [
  OPERATIONS.STATUS,
  OPERATIONS.CREATE_GROUP,
  OPERATIONS.GET_GROUP,
  OPERATIONS.LIST_GROUPS,
  OPERATIONS.DROP_GROUP,
  OPERATIONS.ALTER_GROUP,
];

export function everyPortOperations(thread: WorkerThread, control: ControlLink): Operation[] {
  return [
    helloOperation(thread.data),
    mapOperation(() => thread.ownership()),
    pingOperation(),
    ...FORWARDED.map((operation) => control.forwarding(operation)),
  ];
}
