/** Which of the 4096 partitions a digest falls into: its low 12 bits. Of the key alone, so all groups agree. */

import { PARTITION_COUNT } from './limits.ts';

export function partitionOf(digestLo: number): number {
  return digestLo & (PARTITION_COUNT - 1);
}
