/**
 * One generation of the write buffer: which durable records wait in DRAM for the next flush.
 *
 * Records are numbered as they are applied. Beside each number stand its place, its group and the
 * number of the record applied before it in the same partition, so that
 *
 *   heads[partition] → record 17 → record 9 → record 2 → none
 *
 * a scan reads one partition's versions, and a flush walks partitions in order, without touching
 * the records of any other. Ten bytes a record.
 *
 * I1  Only durable records are in it, in the order of their LSNs within a partition.
 * I2  A sealed generation takes no more records.
 */
import { strict as assert } from 'node:assert';
import { WRITE_BUFFER_RECORDS_MIN } from './limits.ts';

const NO_RECORD = -1;

export class WriteBuffer {
  count = 0;
  bytes = 0;
  places: Uint32Array = new Uint32Array(WRITE_BUFFER_RECORDS_MIN);
  groups: Uint16Array = new Uint16Array(WRITE_BUFFER_RECORDS_MIN);
  private previous: Int32Array = new Int32Array(WRITE_BUFFER_RECORDS_MIN);
  private readonly heads: Int32Array;
  private isSealed = false;

  constructor(localPartitionCount: number) {
    this.heads = new Int32Array(localPartitionCount).fill(NO_RECORD);
  }

  add(localPartition: number, group: number, place: number, recordBytes: number): void {
    assert(!this.isSealed);
    if (this.count === this.places.length) this.grow();
    const record = this.count++;
    this.places[record] = place;
    this.groups[record] = group;
    this.previous[record] = this.heads[localPartition] as number;
    this.heads[localPartition] = record;
    this.bytes += recordBytes;
  }

  seal(): void {
    this.isSealed = true;
  }

  /** The partition's newest record number, or -1. */
  head(localPartition: number): number {
    return this.heads[localPartition] as number;
  }

  /** The record of the same partition applied before this one, or -1. */
  before(record: number): number {
    return this.previous[record] as number;
  }

  private grow(): void {
    const capacity = this.places.length * 2;
    const places = new Uint32Array(capacity);
    places.set(this.places);
    this.places = places;
    const groups = new Uint16Array(capacity);
    groups.set(this.groups);
    this.groups = groups;
    const previous = new Int32Array(capacity);
    previous.set(this.previous);
    this.previous = previous;
  }
}
