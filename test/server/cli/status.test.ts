/** `millrace status`, and that every command has help with an example. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownStatus } from '../../../server/cli/status.ts';
import { millrace, startCliNode } from './cli-process.ts';

test('a node shows its shards and their sum, or everything as JSON', async (context) => {
  const { connect } = await startCliNode(context);
  const { status, stdout, stderr } = await millrace(['status', ...connect]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^node \S+, millrace \S+, up \d+ s, 2 groups, .* of memory\n/);
  assert.match(stdout, /^SHARD +ROWS +VERSIONS +INDEX /m);
  assert.match(stdout, /^all +4 +4 /m);
  const json = JSON.parse((await millrace(['status', '--json', ...connect])).stdout) as {
    shards: { rows: number }[];
  };
  assert.equal(json.shards.length, 2);
  assert.equal(json.shards[0]!.rows + json.shards[1]!.rows, 4);
});

test('figures that a node does not give are nothing, not an error', () => {
  const text = shownStatus({
    nodeId: 'n',
    version: '9',
    uptimeSeconds: 90_000,
    shards: [{ rows: 1_234_567 }],
  });
  assert.match(text, /^node n, millrace 9, up 1 d 1 h\n/);
  assert.match(text, /^0 +1,234,567 +0 +0 B/m);
});

test('damaged blocks are told first, with what to do', () => {
  const text = shownStatus({
    nodeId: 'n',
    version: '9',
    uptimeSeconds: 1,
    memoryBytes: 2 ** 20,
    memoryLimitBytes: 2 ** 30,
    shards: [{ rows: 1 }, { rows: 1, damagedBlocks: 2, damagedUnits: 5 }],
  });
  assert.match(
    text,
    /^node n, millrace 9, up 1 s, 1\S* MB of memory \(limit 1\S* GB\)\nshard 1 has damaged blocks \(2\): 5 /,
  );
  assert.match(text, /run `millrace repair`\nSHARD/);
});

test('every command has help with an example', async () => {
  const commands = [['get'], ['scan'], ['status'], ['bench'], ['demo'], ['import'], ['serve'], ['groups']];
  const nested = ['list', 'show', 'create', 'drop'].map((name) => ['groups', name]);
  await Promise.all(
    [...commands, ...nested].map(async (command) => {
      const { status, stdout, stderr } = await millrace([...command, '--help']);
      assert.equal(status, 0, `${command.join(' ')}: ${stderr}`);
      assert.match(stdout, new RegExp(`Example:\\n  millrace ${command[0]}`), command.join(' '));
    }),
  );
});

test('a wrong option or argument is exit status 2 and says where help is', async () => {
  for (const args of [
    ['get'],
    ['scan', 'g', '--format', 'xml'],
    ['status', '--nope'],
    ['bench', '--rows', 'x'],
    ['groups', 'show'],
  ]) {
    const { status, stderr } = await millrace(args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, /^error: /m);
  }
});
