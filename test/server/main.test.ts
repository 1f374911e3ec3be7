/** Every command that has a module is one that a person can give. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { millrace } from './cli/cli-process.ts';

test('each command module is listed by the program, and says how it is used', async () => {
  const folder = new URL('../../server/cli/', import.meta.url);
  const names: string[] = [];
  for (const file of readdirSync(folder).filter((name) => /\.[jt]s$/.test(name) && !name.endsWith('.d.ts'))) {
    const module = (await import(new URL(file, folder).href)) as { command?: () => { name(): string } };
    if (module.command !== undefined) names.push(module.command().name());
  }
  assert.ok(names.includes('serve'), names.join());
  const { stdout } = await millrace(['--help']);
  for (const name of names) {
    assert.match(stdout, new RegExp(`^  ${name}\\b`, 'm'));
    const help = await millrace([name, '--help']);
    assert.equal(help.status, 0, help.stderr);
    assert.ok(help.stdout.startsWith(`Usage: millrace ${name} `), help.stdout);
  }
});
