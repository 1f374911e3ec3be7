/** A status survives with the fields this build does not know. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeStatusRequest,
  decodeStatusResponse,
  encodeStatusRequest,
  encodeStatusResponse,
} from '../../../protocol/index.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';

test('a status survives, later fields too', () => {
  decodeStatusRequest(frameOf((w) => encodeStatusRequest(w, OPTIONS)));
  const status = {
    nodeId: 'n',
    version: '9',
    uptimeSeconds: 1.5,
    shards: [{ rows: 2 ** 40 }, {}],
    later: ['x'],
  };
  assert.deepEqual(decodeStatusResponse(frameOf((w) => encodeStatusResponse(w, 1, status))), status);
});

test('a status without its fields is refused', () => {
  const frame = frameOf((w) =>
    encodeStatusResponse(w, 1, { nodeId: 'n', version: '1', uptimeSeconds: 1, shards: 5 as never }),
  );
  assert.throws(() => decodeStatusResponse(frame), refusal('MALFORMED_REQUEST', /"shards"/));
});
