/**
 * Who owns which partition, as one thread of one node sees it.
 *
 * This is the door that a replicated cluster implements too; the server knows nothing else of the cluster.
 *
 * I1  `map()` and `epoch` belong together: both change in one turn, and `onChange` listeners are called in that turn,
 *     after the change.
 * I2  Epochs only rise.
 * I3  `isOwnedHere` is synchronous and allocates nothing: it is asked for every key of every request.
 */
import type { PartitionMap } from './partition-map.ts';

export interface PartitionOwnership {
  readonly epoch: number;
  map(): PartitionMap;
  /** The owner's index in `map().nodes`. */
  ownerOf(partition: number): number;
  isOwnedHere(partition: number): boolean;
  /** The answer unsubscribes. */
  onChange(listener: (map: PartitionMap) => void): () => void;
}
