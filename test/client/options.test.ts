/** Addresses and options: what is taken, what is refused before anything is dialled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_PORT, parseAddress, positiveMs, resolveOptions } from '../../client/options.ts';
import { failure } from './error-expectation.ts';

test('addresses are taken as text or as an object', () => {
  assert.deepEqual(parseAddress('localhost'), { host: 'localhost', port: DEFAULT_PORT });
  assert.deepEqual(parseAddress('10.0.0.1:7400'), { host: '10.0.0.1', port: 7400 });
  assert.deepEqual(parseAddress('[::1]:9'), { host: '::1', port: 9 });
  assert.deepEqual(parseAddress('[::1]'), { host: '::1', port: DEFAULT_PORT });
  assert.deepEqual(parseAddress({ host: 'a', port: 1 }), { host: 'a', port: 1 });
});

test('what is no address is refused and shown', () => {
  for (const bad of ['', ':7400', 'host:0', 'host:65536', 'host:x', 'a:b:c', '::1']) {
    assert.throws(() => parseAddress(bad), failure('USAGE', /is no address/), bad);
  }
  assert.throws(() => parseAddress({ host: '', port: 1 }), failure('USAGE'));
  assert.throws(() => parseAddress({ host: 'a', port: 1.5 }), failure('USAGE'));
});

test('times must be positive and fit a timer', () => {
  for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
    assert.throws(() => positiveMs('timeoutMs', bad, 1), failure('USAGE', /timeoutMs is/), String(bad));
  }
  assert.equal(positiveMs('timeoutMs', undefined, 7), 7);
  assert.equal(positiveMs('timeoutMs', 0.5, 7), 0.5);
  assert.throws(() => resolveOptions({ connectTimeoutMs: -5 }), failure('USAGE', /connectTimeoutMs/));
});

test('writes are not repeated unless that is asked for', () => {
  assert.equal(resolveOptions({}).retryWrites, false);
  assert.equal(resolveOptions({ retryWrites: true }).retryWrites, true);
});
