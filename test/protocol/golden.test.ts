/**
 * Every message and every type of row has the bytes written down under test/golden/, encoding and decoding; and the
 * documents' hexadecimal examples are those bytes.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileLayout, decodeRow, partitionOf, verifyRow, xxh64 } from '../../protocol/index.ts';
import { assertGolden, goldenBytes } from '../support/golden-bytes.ts';
import { bytesOf } from './frames.ts';
import { SAMPLE_MESSAGES } from './sample-messages.ts';
import { SAMPLE_ROWS, sampleRowBytes } from './sample-rows.ts';

for (const [name, encode] of Object.entries(SAMPLE_MESSAGES)) {
  test(`${name} has its golden bytes`, () => {
    assertGolden(name, bytesOf(encode));
  });
}

for (const [name, row] of Object.entries(SAMPLE_ROWS)) {
  test(`${name} has its golden bytes, and they read as its values`, () => {
    assertGolden(name, sampleRowBytes(row));
    const bytes = goldenBytes(name);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const layout = compileLayout(row.schema);
    verifyRow(layout, view, bytes, 0, bytes.length);
    const expected = Object.fromEntries(
      row.schema.features.map((feature) => [feature.name, row.values[feature.name] ?? null]),
    );
    assert.deepEqual(decodeRow(layout, view, 0), expected);
  });
}

function readDocument(file: string): string {
  return readFileSync(fileURLToPath(new URL(`../../../docs/formats/${file}`, import.meta.url)), 'utf8');
}

for (const file of ['wire.md', 'groups.md', 'row.md', 'patch.md']) {
  test(`the examples of docs/formats/${file} are golden bytes`, () => {
    const examples = [...readDocument(file).matchAll(/```hex ([\w-]+)\n([\s\S]*?)```/g)];
    assert.ok(examples.length > 0, `${file} has no example`);
    for (const [, name, text] of examples) {
      const hex = (text as string).replace(/(#|\|).*$/gm, '').replace(/\s+/g, '');
      assert.equal(hex, Buffer.from(goldenBytes(name as string)).toString('hex'), `${file}: ${name}`);
    }
  });
}

test('the digests of docs/formats/wire.md are those of the code', () => {
  const line = /^\| `([0-9a-f]*)`.* \| `([0-9a-f]{16})` \| `([0-9a-f]{16})` \| (\d+) \|$/gm;
  const rows = [...readDocument('wire.md').matchAll(line)];
  assert.ok(rows.length >= 5);
  for (const [, key, seed, digest, partition] of rows as unknown as [
    string,
    string,
    string,
    string,
    string,
  ][]) {
    const bytes = Buffer.from(key, 'hex');
    const out = new Uint32Array(2);
    xxh64(
      bytes,
      0,
      bytes.length,
      Number.parseInt(seed.slice(8), 16),
      Number.parseInt(seed.slice(0, 8), 16),
      out,
      0,
    );
    assert.equal(((BigInt(out[1]!) << 32n) | BigInt(out[0]!)).toString(16).padStart(16, '0'), digest);
    assert.equal(partitionOf(out[0]!), Number(partition));
  }
});
