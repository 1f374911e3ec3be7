/** Settings: precedence of the four sources, and refusals that name the wrong key and where it stood. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG_TABLE, type ConfigSources, loadConfig, parseBytes } from '../../server/config.ts';

const NONE: ConfigSources = { flags: {}, env: {} };
const DATA = { dataDirectory: '/data' };

function refusal(sources: Partial<ConfigSources>): string {
  try {
    loadConfig({ ...NONE, ...sources });
  } catch (error) {
    assert.equal((error as { code: string }).code, 'CONFIG_INVALID');
    return (error as Error).message;
  }
  assert.fail('the configuration was accepted');
}

test('without any source but the data directory every setting has its default', () => {
  const { config, warnings } = loadConfig({ ...NONE, flags: DATA });
  assert.deepEqual(config, {
    dataDirectory: '/data',
    host: '127.0.0.1',
    port: 7400,
    shards: 0,
    writeBufferBytes: 64 * 1024 * 1024,
    cacheBytes: 0,
    memoryLimitBytes: 0,
    compactionBytesPerSecond: 0,
    compactionLevelZeroBytes: 512 * 1024 * 1024,
    logLevel: 'info',
    drainTimeoutMs: 10_000,
  });
  assert.deepEqual(warnings, []);
});

test('a flag goes before the environment, the environment before the file, the file before the default', () => {
  const file = { path: 'm.yaml', text: 'dataDirectory: /file\nport: 1\nshards: 1\nhost: file' };
  const env = { MILLRACE_PORT: '2', MILLRACE_SHARDS: '2' };
  const { config } = loadConfig({ flags: { port: '3' }, env, file });
  assert.deepEqual(
    [config.dataDirectory, config.host, config.shards, config.port, config.logLevel],
    ['/file', 'file', 2, 3, 'info'],
  );
});

test('a file may be JSON', () => {
  const file = { path: 'm.json', text: '{"dataDirectory": "/d", "writeBufferBytes": "16MiB", "port": 8}' };
  const { config } = loadConfig({ ...NONE, file });
  assert.deepEqual([config.writeBufferBytes, config.port], [16 * 1024 * 1024, 8]);
});

test('an empty file sets nothing', () => {
  assert.equal(loadConfig({ flags: DATA, env: {}, file: { path: 'm', text: '' } }).config.port, 7400);
});

test('a missing data directory names all three ways to give it', () => {
  assert.match(refusal({}), /"dataDirectory" is required.*--data DIR.*MILLRACE_DATA/);
});

test('a wrong flag is named with what was seen and what is allowed', () => {
  const message = refusal({ flags: { ...DATA, port: '70000' } });
  assert.equal(message, 'flag --port is "70000": an integer from 0 to 65535 is expected');
});

test('a wrong variable is named', () => {
  assert.match(refusal({ flags: DATA, env: { MILLRACE_LOG_LEVEL: 'loud' } }), /MILLRACE_LOG_LEVEL is "loud"/);
});

test('a wrong key of the file is named with the file, also when a flag overrides it', () => {
  const file = { path: '/etc/m.yaml', text: 'port: seven' };
  assert.match(
    refusal({ flags: { ...DATA, port: '7' }, file }),
    /key "port" in \/etc\/m\.yaml is "seven": an integer from 0 to 65535/,
  );
});

test('an unknown key of the file is named with the keys there are', () => {
  const file = { path: 'm.yaml', text: 'prot: 7400' };
  assert.match(
    refusal({ flags: DATA, file }),
    /unknown key "prot" in m\.yaml: the keys are dataDirectory, host/,
  );
});

test('a file that is no map, or no YAML, is refused', () => {
  assert.match(
    refusal({ flags: DATA, file: { path: 'm', text: '- 1\n- 2' } }),
    /a map of settings is expected/,
  );
  assert.match(refusal({ flags: DATA, file: { path: 'm', text: '{"a": ' } }), /neither YAML nor JSON/);
});

test('an unknown variable of ours is a warning, for orchestrators inject some', () => {
  const env = { MILLRACE_SERVICE_HOST: '10.0.0.1', MILLRACE_ADDRESS: 'x', PATH: '/bin' };
  const { warnings } = loadConfig({ flags: DATA, env });
  assert.deepEqual(warnings, ['environment variable MILLRACE_SERVICE_HOST is no setting of this server']);
});

test('bytes take units, and nothing else', () => {
  const given = ['0', '64', '64b', '1KiB', '1.5 GiB', '500MB', '2tib', 7];
  const bytes = [0, 64, 64, 1024, 1610612736, 5e8, 2 * 1024 ** 4, 7];
  assert.deepEqual(given.map(parseBytes), bytes);
  for (const wrong of ['', '-1', '1e9', '5 parsecs', 'MiB', '1.2.3', null, {}, 1.5, -3, '9'.repeat(20)]) {
    assert.equal(parseBytes(wrong), undefined, `${wrong}`);
  }
});

test('a size outside its bounds is refused, and 0 only where it asks for the default', () => {
  assert.match(refusal({ flags: { ...DATA, writeBufferBytes: '1MiB' } }), /flag --write-buffer is "1MiB"/);
  assert.match(refusal({ flags: { ...DATA, writeBufferBytes: '0' } }), /--write-buffer/);
  assert.equal(loadConfig({ ...NONE, flags: { ...DATA, cacheBytes: '0' } }).config.cacheBytes, 0);
});

test('keys, flags and variables are unique', () => {
  for (const column of ['key', 'flag', 'env'] as const) {
    assert.equal(new Set(CONFIG_TABLE.map((row) => row[column])).size, CONFIG_TABLE.length, column);
  }
});
