/**
 * RowReader: whole rows as users see them, {key columns, event time, features}, in one object of one shape.
 *
 * Made once per group and choice of features; reads a row without another object than the row itself. For the
 * features alone there is decodeRow.
 */

import { readSlots } from './group-layouts.ts';
import { decodeKeyInto, type KeyValue } from './key-codec.ts';
import { ProtocolError } from './protocol-error.ts';
import { decodeFeature, decodeFeatures } from './row-decode.ts';
import { compileRowFactory, type RowFactory } from './row-factory.ts';
import type { FeatureSlot, RowLayout } from './row-layout.ts';
import type { FeatureValue } from './row-value.ts';
import type { GroupSchema, KeyColumn } from './schema.ts';

export class RowReader {
  readonly #columns: readonly KeyColumn[];
  /** The features that the rows have, and where they go among the values; all of them unless `from` is another version. */
  readonly #slots: readonly FeatureSlot[];
  readonly #positions: Uint16Array | null;
  readonly #factory: RowFactory;
  readonly #values: unknown[];

  /**
   * `features` names those to read, in the order they shall have; null: all, in schema order. Rows are of the layout
   * `from`, of any version of the schema, by default of `layout`, the schema's own.
   */
  constructor(
    schema: GroupSchema,
    layout: RowLayout,
    features: readonly string[] | null = null,
    from: RowLayout = layout,
  ) {
    this.#columns = schema.key;
    const wanted = features === null ? layout.slots : features.map((name) => slotNamed(schema, layout, name));
    const names = [
      ...schema.key.map((column) => column.name),
      schema.eventTimeName,
      ...wanted.map((slot) => slot.name),
    ];
    this.#factory = compileRowFactory(names);
    if (from === layout) {
      this.#values = names.map(() => null);
      this.#slots = wanted;
      this.#positions = null;
      return;
    }
    const reads = readSlots(schema, wanted, from);
    const first = schema.key.length + 1;
    // What the rows do not have never changes: it is put in its place once.
    this.#values = [...names.slice(0, first).map(() => null), ...reads.map(({ absent }) => absent)];
    this.#slots = reads.flatMap(({ slot }) => (slot === undefined ? [] : [slot]));
    this.#positions = Uint16Array.from(
      reads.flatMap(({ slot }, index) => (slot === undefined ? [] : [first + index])),
    );
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
    if (this.#positions === null) decodeFeatures(this.#slots, view, offset, values, keyCount + 1);
    else this.#decodeScattered(this.#positions, view, offset, values);
    return this.#factory(values) as Record<string, KeyValue | FeatureValue>;
  }

  #decodeScattered(positions: Uint16Array, view: DataView, offset: number, values: unknown[]): void {
    const slots = this.#slots;
    for (let index = 0; index < slots.length; index++) {
      values[positions[index]!] = decodeFeature(slots[index]!, view, offset);
    }
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
