/**
 * Which requests' rows one partition has seen: the newest 1,024 keyed rows by LSN, and beyond them, for 64 clients, up to
 * where they have been forgotten.
 *
 *   entry, 7 words   | client low | client high | sequence low | high | ordinal | LSN low | LSN high, result in the top byte |
 *   client           | id low | id high | newest sequence | its newest ordinal | newest forgotten sequence, or -1 | used at |
 *
 *   find ─▶ SEEN       the entry is there: answer its result and LSN, write nothing
 *        ─▶ FORGOTTEN  it is not, and its client's entries up to that sequence may have been forgotten: refuse
 *        ─▶ UNSEEN     it was never written
 *
 * I1  Entries stand in a ring in the order of their LSNs, except between `restore` and `settle`.
 * I2  A row that was added is never UNSEEN again while its client is among the 64 used last: SEEN first, then FORGOTTEN.
 * I3  A client's newest (sequence, ordinal) is at least that of each of its entries, so what lies above it needs no search.
 *
 * A search walks at most 1,024 entries: 1–2 µs, for repeats and for requests that overtook each other.
 */
import { strict as assert } from 'node:assert';
import { IDEMPOTENCY_CLIENTS_MAX, IDEMPOTENCY_ENTRIES_MAX, IDEMPOTENCY_ENTRIES_MIN } from './limits.ts';

export const UNSEEN = 0;
export const SEEN = 1;
export const FORGOTTEN = 2;

export const ENTRY_WORDS = 7;
const CLIENT_LO = 0;
const CLIENT_HI = 1;
const SEQUENCE_LO = 2;
const SEQUENCE_HI = 3;
const ORDINAL = 4;
const LSN_LO = 5;
const LSN_HI = 6;
const RESULT_SHIFT = 24;
const LSN_HI_MASK = 2 ** RESULT_SHIFT - 1;

const CLIENT_FIELDS = 6;
export const ID_LO = 0;
export const ID_HI = 1;
export const NEWEST_SEQUENCE = 2;
export const NEWEST_ORDINAL = 3;
export const FORGOTTEN_SEQUENCE = 4;
const USED_AT = 5;
const CLIENTS_MIN = 2;

const NONE = -1;
const TWO_32 = 2 ** 32;

export class IdempotencyWindow {
  /** Of the entry that `find` has SEEN. */
  lsn = 0;
  result = 0;
  count = 0;
  clientCount = 0;
  private entries: Uint32Array = new Uint32Array(IDEMPOTENCY_ENTRIES_MIN * ENTRY_WORDS);
  private clients: Float64Array = new Float64Array(CLIENTS_MIN * CLIENT_FIELDS);
  /** The oldest entry, once the ring is full. */
  private start = 0;
  private isOrdered = true;
  private uses = 0;

  get bytes(): number {
    return this.entries.byteLength + this.clients.byteLength;
  }

  find(clientLo: number, clientHi: number, sequence: number, ordinal: number): number {
    const { clients } = this;
    const client = this.clientAt(clientLo, clientHi);
    if (client !== NONE) {
      const newest = clients[client + NEWEST_SEQUENCE] as number;
      if (sequence > newest) return UNSEEN;
      if (sequence === newest && ordinal > (clients[client + NEWEST_ORDINAL] as number)) return UNSEEN;
    }
    const entry = this.search(clientLo, clientHi, sequence, ordinal);
    if (entry !== NONE) {
      this.lsn = this.lsnAt(entry);
      this.result = (this.entries[entry + LSN_HI] as number) >>> RESULT_SHIFT;
      return SEEN;
    }
    const isForgotten = client !== NONE && sequence <= (clients[client + FORGOTTEN_SEQUENCE] as number);
    return isForgotten ? FORGOTTEN : UNSEEN;
  }

  /** Adds a row that `find` has not SEEN; its LSN is above all others. */
  add(
    clientLo: number,
    clientHi: number,
    sequence: number,
    ordinal: number,
    lsn: number,
    result: number,
  ): void {
    assert(this.isOrdered);
    if (this.count === IDEMPOTENCY_ENTRIES_MAX) this.forgetOldest();
    this.write(this.freeEntry(), clientLo, clientHi, sequence, ordinal, lsn, result);
    const client = this.ensureClient(clientLo, clientHi);
    this.raise(client, sequence, ordinal);
  }

  /** Takes back an entry whose row was not written after all: one of the newest. */
  remove(lsn: number): void {
    assert(this.isOrdered);
    for (let back = 1; back <= this.count; back++) {
      if (this.lsnAt(this.entryAt(this.count - back)) !== lsn) continue;
      for (let index = this.count - back; index + 1 < this.count; index++) {
        const from = this.entryAt(index + 1);
        this.entries.copyWithin(this.entryAt(index), from, from + ENTRY_WORDS);
      }
      this.count -= 1;
      return;
    }
  }

  /** Adds a row found by recovery, in any order, perhaps once more. `settle` must follow. */
  restore(
    clientLo: number,
    clientHi: number,
    sequence: number,
    ordinal: number,
    lsn: number,
    result: number,
  ): void {
    // Twice as many as are kept, so that they are sorted once in so many.
    if (this.count === 2 * IDEMPOTENCY_ENTRIES_MAX) this.settle();
    if (this.isOrdered) this.unroll();
    this.isOrdered = false;
    this.write(this.freeEntry(), clientLo, clientHi, sequence, ordinal, lsn, result);
  }

  /** Orders what was restored, keeps the newest of it and forgets the rest. */
  settle(): void {
    if (this.isOrdered) return;
    const found = Array.from({ length: this.count }, (_value, index) => index * ENTRY_WORDS).sort(
      (a, b) => this.lsnAt(a) - this.lsnAt(b),
    );
    const old = this.entries;
    const ordered = found.filter(
      (entry, index) => index === 0 || this.lsnAt(entry) !== this.lsnAt(found[index - 1] as number),
    );
    const forgotten = Math.max(0, ordered.length - IDEMPOTENCY_ENTRIES_MAX);
    for (const entry of ordered.slice(0, forgotten)) this.forget(entry);
    const kept = ordered.slice(forgotten);
    this.entries = new Uint32Array(capacityFor(kept.length) * ENTRY_WORDS);
    for (const [index, entry] of kept.entries()) {
      this.entries.set(old.subarray(entry, entry + ENTRY_WORDS), index * ENTRY_WORDS);
    }
    this.count = kept.length;
    this.start = 0;
    this.isOrdered = true;
    this.ensureAllClients();
  }

  /** Adds an entry as `visitEntries` shows it. `settle` must follow. */
  restoreWords(words: Uint32Array, at: number): void {
    const sequence = (words[at + SEQUENCE_HI] as number) * TWO_32 + (words[at + SEQUENCE_LO] as number);
    const packed = words[at + LSN_HI] as number;
    this.restore(
      words[at + CLIENT_LO] as number,
      words[at + CLIENT_HI] as number,
      sequence,
      words[at + ORDINAL] as number,
      (packed & LSN_HI_MASK) * TWO_32 + (words[at + LSN_LO] as number),
      packed >>> RESULT_SHIFT,
    );
  }

  /** Calls `visit` with the words of each entry and its LSN, oldest first. */
  visitEntries(visit: (entries: Uint32Array, at: number, lsn: number) => void): void {
    for (let index = 0; index < this.count; index++) {
      const entry = this.entryAt(index);
      visit(this.entries, entry, this.lsnAt(entry));
    }
  }

  visitClients(visit: (clients: Float64Array, at: number) => void): void {
    for (let client = 0; client < this.clientCount; client++) visit(this.clients, client * CLIENT_FIELDS);
  }

  /** What an earlier window knew of a client: `forgotten` is -1 for nothing. */
  restoreClient(
    clientLo: number,
    clientHi: number,
    newest: number,
    ordinal: number,
    forgotten: number,
  ): void {
    const client = this.ensureClient(clientLo, clientHi);
    const { clients } = this;
    if (forgotten > (clients[client + FORGOTTEN_SEQUENCE] as number))
      clients[client + FORGOTTEN_SEQUENCE] = forgotten;
    this.raise(client, newest, ordinal);
  }

  private search(clientLo: number, clientHi: number, sequence: number, ordinal: number): number {
    const { entries } = this;
    const sequenceHi = Math.floor(sequence / TWO_32);
    const sequenceLo = sequence - sequenceHi * TWO_32;
    for (let index = this.count - 1; index >= 0; index--) {
      const entry = this.entryAt(index);
      if (
        entries[entry + SEQUENCE_LO] === sequenceLo &&
        entries[entry + CLIENT_LO] === clientLo &&
        entries[entry + ORDINAL] === ordinal &&
        entries[entry + CLIENT_HI] === clientHi &&
        entries[entry + SEQUENCE_HI] === sequenceHi
      ) {
        return entry;
      }
    }
    return NONE;
  }

  private write(
    entry: number,
    clientLo: number,
    clientHi: number,
    sequence: number,
    ordinal: number,
    lsn: number,
    result: number,
  ): void {
    const { entries } = this;
    const sequenceHi = Math.floor(sequence / TWO_32);
    const lsnHi = Math.floor(lsn / TWO_32);
    entries[entry + CLIENT_LO] = clientLo;
    entries[entry + CLIENT_HI] = clientHi;
    entries[entry + SEQUENCE_LO] = sequence - sequenceHi * TWO_32;
    entries[entry + SEQUENCE_HI] = sequenceHi;
    entries[entry + ORDINAL] = ordinal;
    entries[entry + LSN_LO] = lsn - lsnHi * TWO_32;
    entries[entry + LSN_HI] = (lsnHi | (result << RESULT_SHIFT)) >>> 0;
    this.count += 1;
  }

  private lsnAt(entry: number): number {
    const { entries } = this;
    return ((entries[entry + LSN_HI] as number) & LSN_HI_MASK) * TWO_32 + (entries[entry + LSN_LO] as number);
  }

  /** Where the entry with this rank by LSN stands. */
  private entryAt(rank: number): number {
    const slots = this.entries.length / ENTRY_WORDS;
    const slot = this.start + rank;
    return (slot < slots ? slot : slot - slots) * ENTRY_WORDS;
  }

  private freeEntry(): number {
    if (this.count * ENTRY_WORDS === this.entries.length) {
      assert(this.start === 0);
      const larger = new Uint32Array(2 * this.entries.length);
      larger.set(this.entries);
      this.entries = larger;
    }
    return this.entryAt(this.count);
  }

  private forgetOldest(): void {
    this.forget(this.entryAt(0));
    this.start = this.start + 1 === IDEMPOTENCY_ENTRIES_MAX ? 0 : this.start + 1;
    this.count -= 1;
  }

  private forget(entry: number): void {
    const { entries } = this;
    const client = this.ensureClient(
      entries[entry + CLIENT_LO] as number,
      entries[entry + CLIENT_HI] as number,
    );
    const sequence =
      (entries[entry + SEQUENCE_HI] as number) * TWO_32 + (entries[entry + SEQUENCE_LO] as number);
    const { clients } = this;
    if (sequence > (clients[client + FORGOTTEN_SEQUENCE] as number))
      clients[client + FORGOTTEN_SEQUENCE] = sequence;
    this.raise(client, sequence, entries[entry + ORDINAL] as number);
  }

  /** Puts the oldest entry first, so that the array can grow. */
  private unroll(): void {
    if (this.start === 0) return;
    const { entries } = this;
    const at = this.start * ENTRY_WORDS;
    const unrolled = new Uint32Array(entries.length);
    unrolled.set(entries.subarray(at));
    unrolled.set(entries.subarray(0, at), entries.length - at);
    this.entries = unrolled;
    this.start = 0;
  }

  private clientAt(clientLo: number, clientHi: number): number {
    const { clients } = this;
    const end = this.clientCount * CLIENT_FIELDS;
    for (let client = 0; client < end; client += CLIENT_FIELDS) {
      if (clients[client + ID_LO] === clientLo && clients[client + ID_HI] === clientHi) return client;
    }
    return NONE;
  }

  /** The client's place; one that is new takes the place of the one longest unused when there are 64. */
  private ensureClient(clientLo: number, clientHi: number): number {
    let client = this.clientAt(clientLo, clientHi);
    if (client === NONE) {
      client = this.freeClient();
      const { clients } = this;
      clients[client + ID_LO] = clientLo;
      clients[client + ID_HI] = clientHi;
      clients[client + NEWEST_SEQUENCE] = -1;
      clients[client + NEWEST_ORDINAL] = 0;
      clients[client + FORGOTTEN_SEQUENCE] = -1;
      this.raiseFromEntries(client);
    }
    this.uses += 1;
    this.clients[client + USED_AT] = this.uses;
    return client;
  }

  private freeClient(): number {
    const { clients } = this;
    if (this.clientCount < IDEMPOTENCY_CLIENTS_MAX) {
      const client = this.clientCount * CLIENT_FIELDS;
      if (client === clients.length) {
        this.clients = new Float64Array(2 * clients.length);
        this.clients.set(clients);
      }
      this.clientCount += 1;
      return client;
    }
    let oldest = 0;
    for (let client = CLIENT_FIELDS; client < clients.length; client += CLIENT_FIELDS) {
      if ((clients[client + USED_AT] as number) < (clients[oldest + USED_AT] as number)) oldest = client;
    }
    return oldest;
  }

  private raise(client: number, sequence: number, ordinal: number): void {
    const { clients } = this;
    const newest = clients[client + NEWEST_SEQUENCE] as number;
    if (
      sequence < newest ||
      (sequence === newest && ordinal <= (clients[client + NEWEST_ORDINAL] as number))
    ) {
      return;
    }
    clients[client + NEWEST_SEQUENCE] = sequence;
    clients[client + NEWEST_ORDINAL] = ordinal;
  }

  private raiseFromEntries(client: number): void {
    const { clients } = this;
    const clientLo = clients[client + ID_LO];
    const clientHi = clients[client + ID_HI];
    this.visitEntries((entries, at) => {
      if (entries[at + CLIENT_LO] !== clientLo || entries[at + CLIENT_HI] !== clientHi) return;
      const sequence = (entries[at + SEQUENCE_HI] as number) * TWO_32 + (entries[at + SEQUENCE_LO] as number);
      this.raise(client, sequence, entries[at + ORDINAL] as number);
    });
  }

  /** After entries came from elsewhere: I3 for the clients that have a place already, a place for the others. */
  private ensureAllClients(): void {
    this.visitEntries((entries, at) => {
      const client = this.ensureClient(entries[at + CLIENT_LO] as number, entries[at + CLIENT_HI] as number);
      const sequence = (entries[at + SEQUENCE_HI] as number) * TWO_32 + (entries[at + SEQUENCE_LO] as number);
      this.raise(client, sequence, entries[at + ORDINAL] as number);
    });
  }
}

function capacityFor(count: number): number {
  let capacity = IDEMPOTENCY_ENTRIES_MIN;
  while (capacity < count) capacity *= 2;
  return capacity;
}
