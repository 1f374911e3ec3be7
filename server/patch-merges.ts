/**
 * The merges that a shard lends its store: one a group, which follows the group's schema.
 *
 * I1  A merge uses the schema version that the group has when it is called, so that no feature of a row is lost which
 *     the patch's sender had not heard of.
 * I2  All merges of a shard share one buffer: an answer holds until the next merge of any group.
 */
import { ByteWriter, RowPatcher, type ViewedBytes } from '../protocol/index.ts';
import type { Arena, PatchMerge } from '../storage/index.ts';
import type { Group, GroupTable } from './group-table.ts';

export class PatchMerges {
  readonly #groups: GroupTable;
  readonly #writer: ByteWriter = new ByteWriter();
  readonly #merges: Map<number, PatchMerge> = new Map();
  readonly #patchers: WeakMap<Group, RowPatcher> = new WeakMap();
  /** The patches of the call before, with their view: those of one request lie in one buffer. */
  #patches: ViewedBytes = viewOf(new Uint8Array(0));

  constructor(groups: GroupTable) {
    this.#groups = groups;
  }

  /** The merge of a group that exists. */
  of(groupId: number): PatchMerge {
    let merge = this.#merges.get(groupId);
    if (merge === undefined) {
      merge = this.#mergeOf(groupId);
      this.#merges.set(groupId, merge);
    }
    return merge;
  }

  #mergeOf(groupId: number): PatchMerge {
    return (base: Arena | null, baseFrom: number, _baseTo: number, patch: Uint8Array, patchFrom: number) => {
      // Dropped while the patch waited for its row.
      if (this.#groups.policyOf(groupId) === undefined) return 'PATCH_INVALID';
      if (this.#patches.bytes !== patch) this.#patches = viewOf(patch);
      return this.#patcherOf(this.#groups.byId(groupId)).merge(base, baseFrom, this.#patches, patchFrom);
    };
  }

  #patcherOf(group: Group): RowPatcher {
    let patcher = this.#patchers.get(group);
    if (patcher === undefined) {
      const { layout, layouts } = group;
      patcher = new RowPatcher(layout, (version) => layouts.of(version), this.#writer);
      this.#patchers.set(group, patcher);
    }
    return patcher;
  }
}

function viewOf(bytes: Uint8Array): ViewedBytes {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}
