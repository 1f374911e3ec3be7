/** Timestamps as text: what is accepted, what is refused, and agreement with Date over the whole range. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daysFromCivil, parseTimestamp } from '../../../connectors/files/timestamps.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';

const ACCEPTED: [text: string, micros: number][] = [
  ['1970-01-01', 0],
  ['2001-01-14T21:55:00Z', 979_509_300_000_000],
  ['2001-01-14 21:55', 979_509_300_000_000],
  ['2001/01/14 21:55', 979_509_300_000_000],
  ['2001-01-14t21:55:00.5z', 979_509_300_500_000],
  ['2001-01-14T21:55:00.123456', 979_509_300_123_456],
  ['2001-01-14T21:55:00.123456789Z', 979_509_300_123_456],
  ['2001-01-14 21:55:00 UTC', 979_509_300_000_000],
  ['2001-01-14T21:55:00+01:30', 979_503_900_000_000],
  ['2001-01-14T21:55:00-0130', 979_514_700_000_000],
  ['2001-01-14T21:55+02', 979_502_100_000_000],
  ['1969-12-31T23:59:59.999999Z', -1],
  ['2000-02-29', 951_782_400_000_000],
];

const REFUSED = [
  '',
  '2001',
  '2001-01',
  '2001-1-14',
  '2001-01/14',
  '2001-02-29',
  '1900-02-29',
  '2001-04-31',
  '2001-13-01',
  '2001-00-10',
  '2001-01-14T24:00:00Z',
  '2001-01-14T21:60:00Z',
  '2001-01-14T21:55:60Z',
  '2001-01-14T21:55:00.Z',
  '2001-01-14T21:55:00+1',
  '2001-01-14T21:55:00+25:00',
  '2001-01-14T21:55:00Zulu',
  '2001-01-14T21',
  '2001-01-14x21:55',
  'yesterday',
];

test('every accepted form of a timestamp is its microseconds, UTC when it names no zone', () => {
  for (const [text, micros] of ACCEPTED) assert.equal(parseTimestamp(text), micros, text);
});

test('what is no timestamp, or no day that exists, is NaN', () => {
  for (const text of REFUSED) assert.ok(Number.isNaN(parseTimestamp(text)), text);
});

test('agrees with Date for random moments of ten thousand years', () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  for (let i = 0; i < 5000; i++) {
    const millis = random.below(8_000_000_000_000) * 31 - 62_000_000_000_000 + random.below(1000);
    const text = new Date(millis).toISOString();
    if (text.length !== 24) continue;
    assert.equal(parseTimestamp(text), millis * 1000, `${text}, seed ${seed}`);
  }
});

test('days are counted through leap years and before 1970', () => {
  assert.equal(daysFromCivil(1970, 1, 1), 0);
  assert.equal(daysFromCivil(1969, 12, 31), -1);
  assert.equal(daysFromCivil(2000, 3, 1) - daysFromCivil(2000, 2, 28), 2);
  assert.equal(daysFromCivil(0, 1, 1), -719_528);
});
