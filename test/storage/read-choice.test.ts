/** Reads go to other threads when the device is needed, and come back when it is not: told by times that the test makes up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  READ_SAMPLE_EVERY,
  READ_SLOW_MICROS,
  READS_DIRECT_MAX,
  READS_SLOW_MIN,
  SLOW_READS_MICROS_MAX,
} from '../../storage/limits.ts';
import { ReadChoice } from '../../storage/read-choice.ts';

const FAST = 2;
const SLOW = 80;
const BLOCK = 4072;

/** A lookup each, of one block: how many of `count` read it directly, where a direct read takes `micros`. */
function directReads(choice: ReadChoice, count: number, micros: number): number {
  let direct = 0;
  for (let read = 0; read < count; read++) {
    choice.begin();
    if (!choice.mayRead()) continue;
    direct += 1;
    choice.record(micros, BLOCK);
  }
  return direct;
}

test('everything in memory: every block is read directly', () => {
  const choice = new ReadChoice();
  assert.equal(directReads(choice, 1000, FAST), 1000);
  assert.equal(choice.isFetching, false);
});

test('a device: after a few slow reads other threads fetch, and one block in so many is still read directly', () => {
  const choice = new ReadChoice();
  assert.equal(directReads(choice, READS_SLOW_MIN, SLOW), READS_SLOW_MIN);
  assert.equal(choice.isFetching, true);
  assert.equal(directReads(choice, 10 * READ_SAMPLE_EVERY, SLOW), 10);
  assert.equal(choice.isFetching, true);
});

test('memory again: once the samples are fast, every block is read directly', () => {
  const choice = new ReadChoice();
  directReads(choice, READS_SLOW_MIN, SLOW);
  directReads(choice, 32 * READ_SAMPLE_EVERY, FAST);
  assert.equal(choice.isFetching, false);
  assert.equal(directReads(choice, 100, FAST), 100);
});

test('interruptions now and then change nothing, in neither state', () => {
  const choice = new ReadChoice();
  for (let round = 0; round < 100; round++) {
    directReads(choice, 31, FAST);
    directReads(choice, 1, SLOW);
    assert.equal(choice.isFetching, false);
  }
  directReads(choice, READS_SLOW_MIN, SLOW);
  assert.equal(choice.isFetching, true);
  for (let sample = 0; sample < 31; sample++) {
    directReads(choice, READ_SAMPLE_EVERY, sample % 20 === 0 ? SLOW : FAST);
  }
  assert.equal(choice.isFetching, true, 'it asks for 32 samples');
  directReads(choice, READ_SAMPLE_EVERY, FAST);
  assert.equal(choice.isFetching, false);
});

test('a lookup stops to read directly once it has waited long enough, whatever the state', () => {
  const choice = new ReadChoice();
  choice.begin();
  let waitedMicros = 0;
  while (choice.mayRead()) {
    choice.record(SLOW, BLOCK);
    waitedMicros += SLOW;
    assert.ok(waitedMicros < SLOW_READS_MICROS_MAX + SLOW);
  }
  assert.ok(waitedMicros >= SLOW_READS_MICROS_MAX);
  const patient = new ReadChoice();
  patient.begin();
  for (let read = 0; read < READS_DIRECT_MAX; read++) {
    assert.ok(patient.mayRead(), 'fast reads are no wait');
    patient.record(FAST, BLOCK);
  }
  assert.equal(patient.mayRead(), false, 'but work');
});

test('a large value may take as long as copying it takes', () => {
  const choice = new ReadChoice();
  for (let read = 0; read < 100; read++) {
    choice.begin();
    choice.record(READ_SLOW_MICROS + 500, 2 ** 20);
  }
  assert.equal(choice.isFetching, false);
});
