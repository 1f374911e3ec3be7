/** `--schema` in its short form and as a file. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseSchemaText, readSchemaOverride } from '../../../connectors/files/schema-override.ts';

test('the short form gives each column its type', () => {
  const columns = parseSchemaText('delay:int32, embedding:vector(384),a:b:list<string>');
  assert.deepEqual(Object.fromEntries(columns), {
    delay: { type: 'int32' },
    embedding: { type: 'vector', length: 384 },
    'a:b': { type: 'list', item: 'string' },
  });
});

test('a part that is not name:type, or a name twice, is refused', () => {
  for (const text of ['delay', ':int32', 'delay:int', 'delay:int32,', 'a:int8,a:int8']) {
    assert.throws(() => parseSchemaText(text), { code: 'USAGE' }, text);
  }
});

test('a JSON file says the same, and a bad one says what is wrong with it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'schema.json');
  writeFileSync(path, '{"delay": "int32", "odd, name": "string"}');
  assert.deepEqual([...(await readSchemaOverride(path)).keys()], ['delay', 'odd, name']);
  for (const [text, code] of [
    ['{', 'FILE_FORMAT_INVALID'],
    ['[]', 'FILE_FORMAT_INVALID'],
    ['{"delay": 4}', 'USAGE'],
  ] as const) {
    writeFileSync(path, text);
    await assert.rejects(readSchemaOverride(path), { code });
  }
  await assert.rejects(readSchemaOverride(join(directory, 'none.json')), { code: 'FILE_UNREADABLE' });
  assert.equal((await readSchemaOverride(undefined)).size, 0);
});
