/** UUIDs keep the order of their text form and are lower-case when they come back. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../protocol/index.ts';
import { appendUuid, readUuid } from '../../protocol/uuid.ts';
import { announcedSeed } from './seed.ts';

test('text and bytes are two forms of one value', () => {
  const seed = announcedSeed('uuid round trip');
  fc.assert(
    fc.property(fc.uuid(), (text) => {
      const writer = new ByteWriter();
      assert.ok(appendUuid(text.toUpperCase(), writer));
      assert.equal(Buffer.from(writer.bytes.subarray(0, 16)).toString('hex'), text.replaceAll('-', ''));
      assert.equal(readUuid(writer.bytes, 0), text);
      const again = new ByteWriter();
      assert.ok(appendUuid(writer.bytes.subarray(0, 16), again));
      assert.equal(readUuid(again.bytes, 0), text);
    }),
    { seed, numRuns: 300 },
  );
});

test('anything else is refused and nothing is appended', () => {
  const good = '123e4567-e89b-12d3-a456-426614174000';
  const bad = [
    '',
    good.slice(1),
    `${good}0`,
    good.replaceAll('-', ''),
    good.replace('4', 'g'),
    good.replace('-', '0'),
    good.replace('1', '`'),
    good.replace('1', 'À'),
    7,
    null,
    new Uint8Array(15),
  ];
  for (const value of bad) {
    const writer = new ByteWriter();
    assert.ok(!appendUuid(value, writer), String(value));
    assert.equal(writer.length, 0);
  }
});
