/** The package's door: the node inside the process lives and ends with its client. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Millrace, MillraceError } from '../../server/millrace.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const SMALL = { shards: 1, writeBufferBytes: 8 * 1024 * 1024, cacheBytes: 16 * 1024 * 1024 };

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MillraceError && error.code === code;
}

test('what was written is there when the directory is opened again', async (context) => {
  const directory = temporaryDirectory(context);
  const db = await Millrace.open(directory, SMALL);
  const group = await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'float32' } });
  await db.put(group, [{ id: 1, a: 0.5 }]);
  await db.close();
  const again = await Millrace.open(directory, SMALL);
  context.after(() => again.close());
  assert.equal((await again.get('g', 1))?.['a'], 0.5);
});

test('a directory in use, or of another number of shards, is refused with its code', async (context) => {
  const directory = temporaryDirectory(context);
  const db = await Millrace.open(directory, SMALL);
  context.after(() => db.close());
  await assert.rejects(Millrace.open(directory, SMALL), isCode('DATA_DIRECTORY_LOCKED'));
  await db.close();
  await assert.rejects(Millrace.open(directory, { ...SMALL, shards: 2 }), isCode('SHARD_COUNT_MISMATCH'));
});

test('options that make no sense leave no node running', async (context) => {
  const directory = temporaryDirectory(context);
  await assert.rejects(Millrace.open(directory, { ...SMALL, timeoutMs: -1 }), isCode('USAGE'));
  const db = await Millrace.open(directory, SMALL);
  await db.close();
});

test('an opened node serves other clients on its port', async (context) => {
  const db = await Millrace.open(temporaryDirectory(context), SMALL);
  context.after(() => db.close());
  const other = await Millrace.connect(`127.0.0.1:${db.port}`);
  assert.ok(other instanceof Millrace);
  assert.ok((await other.ping()) >= 0);
  await other.close();
  assert.ok((await db.ping()) >= 0, 'closing a client closes no node');
});

/** The worker threads that are posted to while `run` goes on. */
async function workersOf<T>(run: () => Promise<T>): Promise<[T, Worker[]]> {
  const workers = new Set<Worker>();
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (this: Worker, ...message: Parameters<Worker['postMessage']>) {
    workers.add(this);
    return postMessage.apply(this, message);
  };
  try {
    return [await run(), [...workers]];
  } finally {
    Worker.prototype.postMessage = postMessage;
  }
}

test('a node that fails tells onFailure and close, and does not end the process around it', async (context) => {
  const directory = temporaryDirectory(context);
  const failures: MillraceError[] = [];
  const onFailure = (error: MillraceError): number => failures.push(error);
  const [db, workers] = await workersOf(() => Millrace.open(directory, { ...SMALL, onFailure }));
  await workers[0]!.terminate();
  while (failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await assert.rejects(db.close(), (error) => error === failures[0] && error instanceof MillraceError);
  await db.close();
  assert.equal(failures.length, 1);
  const [again, threads] = await workersOf(() => Millrace.open(directory, SMALL));
  await threads[0]!.terminate();
  await assert.rejects(again.ping(), MillraceError);
  await assert.rejects(again.close(), MillraceError);
  await again.close();
});

const DOOR = new URL('../../server/millrace.js', import.meta.url).href;

/** Runs a module of its own process. */
function runModule(context: TestContext, source: string): SpawnSyncReturns<string> {
  const path = join(temporaryDirectory(context), 'program.mjs');
  writeFileSync(path, source);
  return spawnSync(process.execPath, [path], { encoding: 'utf8', timeout: 60_000 });
}

test('importing the package loads neither the engine nor Arrow', (context) => {
  const hooks = `
    import { writeSync } from 'node:fs';
    export async function resolve(specifier, context, next) {
      const resolved = await next(specifier, context);
      writeSync(1, resolved.url + '\\n');
      return resolved;
    }`;
  const hooksUrl = `data:text/javascript;base64,${Buffer.from(hooks).toString('base64')}`;
  const { stdout, stderr } = runModule(
    context,
    `import { register } from 'node:module';
     register('${hooksUrl}');
     const { Millrace } = await import('${DOOR}');
     console.log(typeof Millrace.open);`,
  );
  assert.match(stdout, /client\/client\.js/, stderr);
  assert.match(stdout, /function\n$/);
  assert.doesNotMatch(stdout, /lmdb|fs-native|apache-arrow|storage\/|server\/node/);
});

test('a program that opens and closes ends by itself', (context) => {
  const directory = JSON.stringify(temporaryDirectory(context));
  const run = runModule(
    context,
    `import { Millrace } from '${DOOR}';
     const db = await Millrace.open(${directory}, ${JSON.stringify(SMALL)});
     await db.ping();
     await db.close();`,
  );
  assert.equal(run.status, 0, run.stderr);
});
