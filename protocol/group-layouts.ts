/**
 * The row layouts of a group's schema versions, each compiled when the first row of its version shows up.
 *
 * A row says which version it was written under. One of an older version than the schema's, or of a newer one than a
 * client has heard of, has other slots; features are recognised by their ids, which mean one feature for ever. What a
 * row's version does not know reads as the feature's default; what the schema does not know is not looked at.
 */
import { defaultValue } from './feature-default.ts';
import { compileLayout, type FeatureSlot, type RowLayout } from './row-layout.ts';
import type { GroupSchema } from './schema.ts';

/** A feature as rows of one version have it: where it stands, or what it reads as where it does not. */
export interface ReadSlot {
  readonly slot: FeatureSlot | undefined;
  /** Null for a feature without a default, and for one that was dropped when the row was written. */
  readonly absent: boolean | number | bigint | string | null;
}

export class GroupLayouts {
  #schema: GroupSchema;
  readonly #byVersion: Map<number, RowLayout> = new Map();

  constructor(schema: GroupSchema) {
    this.#schema = schema;
  }

  /** The newest version known. */
  get version(): number {
    return this.#schema.version;
  }

  /** Takes in the versions of a later schema of the same group; those known stay what they are. */
  learn(schema: GroupSchema): void {
    if (schema.version > this.#schema.version) this.#schema = schema;
  }

  /** Undefined for a version that the group has not had. */
  of(version: number): RowLayout | undefined {
    const known = this.#byVersion.get(version);
    if (known !== undefined) return known;
    if (version < 1 || version > this.#schema.version) return undefined;
    const layout = compileLayout(this.#schema, version);
    this.#byVersion.set(version, layout);
    return layout;
  }
}

/** How features that are `wanted` of the schema's own version are read from rows of the layout `from`. */
export function readSlots(schema: GroupSchema, wanted: readonly FeatureSlot[], from: RowLayout): ReadSlot[] {
  const slotOfId = new Map(from.slots.map((slot) => [slot.id, slot]));
  const featureOfId = new Map(schema.features.map((feature) => [feature.id, feature]));
  return wanted.map(({ id }) => {
    const slot = slotOfId.get(id);
    const feature = featureOfId.get(id);
    const isAdded = slot === undefined && feature !== undefined && from.schemaVersion < (feature.since ?? 1);
    return { slot, absent: isAdded ? defaultValue(feature) : null };
  });
}
