/** Manifests: their text, and that no change of it passes. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type BackupManifest, decodeManifest, encodeManifest } from '../../storage/backup-manifest.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { assertGolden } from '../support/golden-bytes.ts';

before(() => loadChecksum());

const MANIFEST: BackupManifest = {
  format: 1,
  id: '000102030405060708090a0b0c0d0e0f',
  startedAt: '2026-01-02T03:04:05.000Z',
  finishedAt: '2026-01-02T03:04:06.000Z',
  expiresAt: '2026-02-01T00:00:00.000Z',
  node: { nodeId: 'n', clusterId: 'c', hashSeed: '0123456789abcdef', generation: 0, shardCount: 1 },
  since: { id: 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', path: '../monday' },
  catalog: '{ "format": 1, "nextGroupId": 2, "groups": [] }\n',
  shards: [
    {
      keys: { count: 2 },
      meta: [{ keyHi: 0, keyLo: 1, base64: 'AAECAw==' }],
      chunks: [{ name: '000001.chunk', values: 2, bytes: 8256, checksum: '00000000deadbeef' }],
    },
  ],
};

test('a manifest has its golden text, and reads as what it was', () => {
  const text = encodeManifest(MANIFEST);
  assertGolden('backup-manifest', Buffer.from(text));
  const { checksum, ...read } = decodeManifest('m', Buffer.from(text)) as BackupManifest & {
    checksum: string;
  };
  assert.match(checksum, /^[0-9a-f]{16}$/);
  assert.deepEqual(read, MANIFEST);
});

test('a changed digit, a cut and a missing checksum are refused by name', () => {
  const text = encodeManifest(MANIFEST);
  for (const changed of [text.replace('8256', '8257'), text.slice(0, -1), text.slice(0, 40), '{}', '']) {
    assert.throws(() => decodeManifest('dir/backup.json', Buffer.from(changed)), {
      code: 'BACKUP_INVALID',
      message: /dir\/backup\.json/,
    });
  }
});

test('a newer format is told as such', () => {
  const text = encodeManifest({ ...MANIFEST, format: 99 });
  assert.throws(() => decodeManifest('m', Buffer.from(text)), {
    code: 'BACKUP_INVALID',
    message: /format 99/,
  });
});
