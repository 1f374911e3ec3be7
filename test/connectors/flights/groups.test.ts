/** The demo's rows as columns: in event order, with their nulls, and in pieces that fit together. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFlights } from '../../../connectors/flights/dataset.ts';
import { eventOrder } from '../../../connectors/flights/event-order.ts';
import { computeFeatures, numberRoutes } from '../../../connectors/flights/features.ts';
import { airportRows, flightRows, type RowSet, routeRows } from '../../../connectors/flights/groups.ts';
import { FIXTURES } from '../fixture-values.ts';

async function sets(): Promise<RowSet[]> {
  const flights = await readFlights(join(FIXTURES, 'flights-nulls.parquet'));
  const order = eventOrder(flights.date);
  const routes = numberRoutes(flights);
  return [
    flightRows(flights),
    airportRows(flights, order, computeFeatures(flights, order, flights.origin, flights.airports.length)),
    routeRows(flights, order, computeFeatures(flights, order, routes.route, routes.count), routes),
  ];
}

test('pieces of any size are the same rows, with a value or null in every column of the group', async () => {
  for (const rows of await sets()) {
    const whole = rows.columns(0, rows.rowCount);
    const expected = [
      ...Object.keys(rows.spec.key),
      rows.spec.eventTimeName,
      ...Object.keys(rows.spec.features),
    ];
    assert.deepEqual(Object.keys(whole).sort(), expected.sort());
    for (const size of [1000, 777]) {
      for (const name of Object.keys(whole)) {
        const joined: unknown[] = [];
        for (let from = 0; from < rows.rowCount; from += size) {
          joined.push(...Array.from(rows.columns(from, Math.min(from + size, rows.rowCount))[name]!));
        }
        assert.deepEqual(joined, Array.from(whole[name]!), `${rows.spec.name}.${name}`);
      }
    }
  }
});

test('airports and routes come in event order and count their departures up', async () => {
  const [, airport, route] = await sets();
  for (const rows of [airport!, route!]) {
    const columns = rows.columns(0, rows.rowCount);
    const count = new Map<string, number>();
    for (let i = 0; i < rows.rowCount; i++) {
      if (i > 0) assert.ok((columns['date']![i] as number) >= (columns['date']![i - 1] as number));
      const key = Object.keys(rows.spec.key)
        .map((name) => columns[name]![i])
        .join();
      count.set(key, (count.get(key) ?? 0) + 1);
      assert.equal(columns['departures']![i], count.get(key));
    }
  }
});
