/** JSON lines: nulls, blank lines, cuts, and what is refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openJsonLines } from '../../../connectors/files/jsonl-source.ts';
import { SOURCE_START, type SourceOptions } from '../../../connectors/files/source.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-jsonl-'));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

async function read(content: string, options: SourceOptions = {}): Promise<Record<string, unknown[]>> {
  const path = join(directory, `${files++}.jsonl`);
  writeFileSync(path, content);
  const source = await openJsonLines(path, options);
  try {
    const names = source.columns.map((column) => column.name);
    const columns: Record<string, unknown[]> = Object.fromEntries(names.map((name) => [name, []]));
    for await (const batch of source.read(names, SOURCE_START, 8)) {
      for (const [i, name] of names.entries()) columns[name]!.push(...Array.from(batch.columns[i]!));
    }
    return columns;
  } finally {
    await source.close();
  }
}

test('a name that a line lacks is null there; blank lines are no rows', async () => {
  assert.deepEqual(await read('{"a":1}\n\n  \t\n{"b":"x","a":null}\r\n{"a":3,"b":"y"}'), {
    a: [1, null, 3],
    b: [null, 'x', 'y'],
  });
});

test('any chunk size gives the same rows', async () => {
  const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ n: i, t: `é${'x'.repeat(i)}` }));
  for (const chunkBytes of [1, 7, 64]) {
    const columns = await read(lines.join('\n'), { chunkBytes });
    assert.deepEqual(
      columns['n'],
      Array.from({ length: 50 }, (_, i) => i),
    );
  }
});

test('what is no object is refused by its row', async () => {
  await assert.rejects(read('{"a":1}\n{"a":}\n'), {
    code: 'FILE_FORMAT_INVALID',
    message: /^row 2 is not JSON/,
  });
  await assert.rejects(read('{"a":1}\n[1]\n'), { message: /^row 2 is not a JSON object/ });
  await assert.rejects(read('{"a":1}\nnull\n'), { message: /^row 2 is not a JSON object/ });
  await assert.rejects(read('{"a":1}\n{"a":'), { message: /^row 2 is not JSON/ });
});

test('a JSON array says how to make lines of it', async () => {
  await assert.rejects(read('[\n{"a":1}\n]'), { message: /jq -c/ });
  await assert.rejects(read('[{"a":1}]'), { message: /jq -c/ });
});

test('a column that only comes up after the sample is refused unless it is left out on purpose', async () => {
  const content = `${'{"a":1}\n'.repeat(10_001)}{"a":1,"late":2}\n`;
  await assert.rejects(read(content), {
    message: /row 10002 has a column "late" that the first 10000 rows lack/,
  });
  assert.equal((await read(content, { ignoresUnknown: true }))['a']?.length, 10_002);
});
