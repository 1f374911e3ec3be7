/** The flights as columns, nulls included, and what is said when they are not there. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { locateFlights, readFlights } from '../../../connectors/flights/dataset.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { FIXTURES } from '../fixture-values.ts';

test('the package has the file', () => {
  assert.ok(existsSync(locateFlights()));
});

test('a missing package or file is FILE_UNREADABLE and says how to get it', (context) => {
  const absent = (): string => {
    throw new Error('Cannot find package');
  };
  const refusal = { code: 'FILE_UNREADABLE', message: /npm install vega-datasets/ };
  assert.throws(() => locateFlights(absent), refusal);
  const empty = pathToFileURL(join(temporaryDirectory(context), 'build', 'index.js')).href;
  assert.throws(() => locateFlights(() => empty), refusal);
});

test('rows without date, origin or destination are left out and counted; other nulls are kept', async () => {
  const flights = await readFlights(join(FIXTURES, 'flights-nulls.parquet'));
  assert.equal(flights.count + flights.skipped, 3000);
  assert.equal(flights.skipped, 6);
  assert.equal(flights.airports.length, 4);
  assert.ok(!flights.row.includes(500) && !flights.row.includes(1234) && flights.row.includes(501));
  for (const i of [0, 1, 97, 1400, 2990]) {
    const row = flights.row[i]!;
    assert.equal(flights.delay.isNull?.[i] === 1, row % 97 === 0);
    if (row % 97 !== 0) assert.equal(flights.delay.values[i], ((row * 31) % 120) - 30);
    assert.equal(flights.distance.isNull?.[i] === 1, row % 83 === 0);
    assert.equal(flights.date[i], Date.UTC(2001, 0, 1) * 1000 + ((row * 7919) % 1500) * 60e6);
    assert.equal(flights.airports[flights.destination[i]!], ['ORD', 'LAX', 'SFO', 'JFK'][(row * 3 + 1) % 4]);
  }
});

test('a file of another shape says which columns it lacks', async () => {
  await assert.rejects(readFlights(join(FIXTURES, 'long.parquet')), {
    code: 'FILE_FORMAT_INVALID',
    message: /lacks the columns date, delay/,
  });
});
