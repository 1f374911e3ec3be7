/** A reader gives key columns, event time and features in one object. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileLayout, RowReader } from '../../protocol/index.ts';
import { refusal } from './frames.ts';
import { EVENT_TIME, routeKeys, routeRows } from './sample-messages.ts';
import { ROUTE, ROUTE_ROW } from './sample-schemas.ts';

const keys = routeKeys();
const { rows, rowOffsets } = routeRows();
const view = new DataView(rows.buffer, rows.byteOffset, rows.length);
const layout = compileLayout(ROUTE);

test('a whole row, in the order key, event time, features', () => {
  const reader = new RowReader(ROUTE, layout);
  const row = reader.read(keys.bytes, keys.offsets[0]!, keys.offsets[1]!, EVENT_TIME, view, rowOffsets[0]!);
  assert.deepEqual(row, { origin: 'SFO', destination: 'JFK', event_time: EVENT_TIME, ...ROUTE_ROW });
  assert.deepEqual(Object.keys(row), [
    'origin',
    'destination',
    'event_time',
    'delay',
    'mean_delay',
    'carrier',
    'departures',
  ]);
});

test('a choice of features, in its own order; nulls are null', () => {
  const reader = new RowReader(ROUTE, layout, ['carrier', 'delay']);
  const first = reader.read(keys.bytes, keys.offsets[0]!, keys.offsets[1]!, 1, view, rowOffsets[0]!);
  const second = reader.read(keys.bytes, keys.offsets[1]!, keys.offsets[2]!, 2, view, rowOffsets[1]!);
  assert.deepEqual(first, { origin: 'SFO', destination: 'JFK', event_time: 1, carrier: 'WN', delay: -4 });
  assert.deepEqual(second, { origin: 'LAX', destination: 'EWR', event_time: 2, carrier: null, delay: null });
});

test('a feature that is not there is refused with those that are', () => {
  assert.throws(
    () => new RowReader(ROUTE, layout, ['speed']),
    refusal('FEATURE_NOT_FOUND', /group "route" has no feature "speed"; it has: delay, mean_delay/),
  );
});
