/** The partition map survives, and one that points nowhere is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeMapRequest,
  decodeMapResponse,
  encodeMapRequest,
  encodeMapResponse,
  type PartitionMap,
} from '../../../protocol/index.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';

const MAP: PartitionMap = {
  epoch: 12,
  partitionCount: 4096,
  nodes: [
    { id: 'a', host: '', shards: [{ port: 1, scanPort: 2 }] },
    { id: 'b', host: 'db-2', shards: [3, 4].map((port) => ({ port, scanPort: port + 10 })) },
  ],
  owners: Uint16Array.from({ length: 4096 }, (_, partition) => partition % 2),
};

function sent(changes: Partial<PartitionMap>): PartitionMap {
  return decodeMapResponse(frameOf((w) => encodeMapResponse(w, 7, { ...MAP, ...changes })));
}

test('a map survives', () => {
  decodeMapRequest(frameOf((w) => encodeMapRequest(w, OPTIONS)));
  assert.deepEqual(sent({}), MAP);
});

test('a map that points nowhere is refused', () => {
  const refuses = (changes: Partial<PartitionMap>, message: RegExp): void => {
    assert.throws(() => sent(changes), refusal('MALFORMED_REQUEST', message));
  };
  refuses({ owners: new Uint16Array(4096).fill(2) }, /partition 0 to node 2 of 2/);
  refuses({ owners: new Uint16Array(4095) }, /"owners".*8192 bytes/);
  refuses({ epoch: 0 }, /"epoch"/);
  refuses({ partitionCount: 1024 }, /"partitionCount"/);
  refuses({ nodes: [{ id: 'a', host: '', shards: [] }] }, /without shards/);
  refuses({ nodes: [{ id: 'a', host: '', shards: [{ port: 0, scanPort: 1 }] }] }, /"port" holds 0/);
});
