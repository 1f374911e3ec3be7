/**
 * RowReader: whole rows as users see them, {key columns, event time, features}, in one object of one shape.
 *
 * Made once per group and choice of features; reads a row without another object than the row itself. For the
 * features alone there is decodeRow.
 */

import { decodeKeyInto, type KeyValue } from './key-codec.ts';
import { ProtocolError } from './protocol-error.ts';
import { decodeFeatures } from './row-decode.ts';
import { compileRowFactory, type RowFactory } from './row-factory.ts';
import type { FeatureSlot, RowLayout } from './row-layout.ts';
import type { FeatureValue } from './row-value.ts';
import type { GroupSchema, KeyColumn } from './schema.ts';

export class RowReader {
  readonly #columns: readonly KeyColumn[];
  readonly #slots: readonly FeatureSlot[];
  readonly #factory: RowFactory;
  readonly #values: unknown[];

  /** `features` names those to read, in the order they shall have; without it all, in schema order. */
  constructor(schema: GroupSchema, layout: RowLayout, features: readonly string[] | null = null) {
    this.#columns = schema.key;
    this.#slots = features === null ? layout.slots : features.map((name) => slotNamed(schema, layout, name));
    const names = [
      ...schema.key.map((column) => column.name),
      schema.eventTimeName,
      ...this.#slots.map((slot) => slot.name),
    ];
    this.#factory = compileRowFactory(names);
    this.#values = names.map(() => null);
  }

  /** The row at `offset` of the view, its key at keyBytes[keyFrom, keyTo). */
  read(
    keyBytes: Uint8Array,
    keyFrom: number,
    keyTo: number,
    eventTimeMicros: number,
    view: DataView,
    offset: number,
  ): Record<string, KeyValue | FeatureValue> {
    const values = this.#values;
    const keyCount = this.#columns.length;
    decodeKeyInto(this.#columns, keyBytes, keyFrom, keyTo - keyFrom, values);
    values[keyCount] = eventTimeMicros;
    decodeFeatures(this.#slots, view, offset, values, keyCount + 1);
    return this.#factory(values) as Record<string, KeyValue | FeatureValue>;
  }
}

function slotNamed(schema: GroupSchema, layout: RowLayout, name: string): FeatureSlot {
  const slot = layout.slots.find((candidate) => candidate.name === name);
  if (slot !== undefined) return slot;
  const names = layout.slots.map((candidate) => candidate.name).join(', ');
  throw new ProtocolError(
    'FEATURE_NOT_FOUND',
    `group "${schema.name}" has no feature "${name}"; it has: ${names}`,
  );
}
