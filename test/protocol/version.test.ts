/** The version is chosen from two ranges, and the wire cannot change without a new one. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { chooseVersion, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from '../../protocol/index.ts';
import { goldenBytes } from '../support/golden-bytes.ts';
import { SAMPLE_MESSAGES } from './sample-messages.ts';
import { SAMPLE_ROWS } from './sample-rows.ts';

/** By protocol version: the hash over the golden bytes of all messages and rows. */
const HASH_OF_VERSION: Readonly<Record<number, string>> = {
  1: '28ea519a554728669a8d9b02ad37a3630ab96351bd501f0e58265b993e696bb5',
};

test('the wire of this version is the one written down', () => {
  const hash = createHash('sha256');
  for (const name of [...Object.keys(SAMPLE_MESSAGES), ...Object.keys(SAMPLE_ROWS)].sort()) {
    hash.update(`${name}\n`).update(goldenBytes(name));
  }
  assert.equal(
    hash.digest('hex'),
    HASH_OF_VERSION[PROTOCOL_VERSION],
    'the golden bytes changed: add a version to the history in protocol/version.ts, or take the change back',
  );
});

test('the highest version of both ranges is chosen, none when they are apart', () => {
  assert.equal(chooseVersion(PROTOCOL_VERSION_MIN, PROTOCOL_VERSION), PROTOCOL_VERSION);
  assert.equal(chooseVersion(1, 65535), PROTOCOL_VERSION);
  assert.equal(chooseVersion(PROTOCOL_VERSION + 1, 65535), 0);
  assert.equal(chooseVersion(0, 0), 0);
  assert.equal(chooseVersion(9, 1), 0);
});
