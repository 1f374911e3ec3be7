/**
 * Output over a socket that takes bytes when it likes: what arrives is what was reserved and not cancelled, and no chunk
 * is used again while the socket holds it.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { OUTPUT_CHUNK_BYTES, OUTPUT_CHUNKS_SPARE_MAX, OUTPUT_PORTION_BYTES } from '../../server/limits.ts';
import { OutputBuffer, OutputChunk, OutputChunkPool } from '../../server/output-buffer.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

type Written = (error?: Error | null) => void;

/** Keeps what it is given without a copy, as a socket does, and copies it when the test says that the kernel took it. */
class SlowSocket {
  writableLength = 0;
  destroyed = false;
  isPrompt = true;
  readonly arrived: Uint8Array[] = [];
  readonly #waiting: { bytes: Uint8Array; written: Written }[] = [];

  cork(): void {}
  uncork(): void {}

  write(bytes: Uint8Array, written: Written): boolean {
    if (this.isPrompt && this.#waiting.length === 0) {
      this.arrived.push(new Uint8Array(bytes));
      queueMicrotask(written);
      return true;
    }
    this.#waiting.push({ bytes, written });
    this.writableLength += bytes.length;
    return false;
  }

  take(count: number): void {
    for (const { bytes, written } of this.#waiting.splice(0, count)) {
      this.arrived.push(new Uint8Array(bytes));
      this.writableLength -= bytes.length;
      written();
    }
  }

  /** All of it, and what waits behind it, as a session does at each 'drain'. */
  takeAll(output: OutputBuffer): void {
    this.take(this.waitingWrites);
    while (output.waitingBytes > 0) {
      output.proceed(asSocket(this));
      this.take(this.waitingWrites);
    }
  }

  get waitingWrites(): number {
    return this.#waiting.length;
  }
}

const asSocket = (socket: SlowSocket): Socket => socket as unknown as Socket;

test('what arrives is what was written, whatever the sizes, alignments and pace', async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 20; round++) {
    const pool = new OutputChunkPool();
    const socket = new SlowSocket();
    const output = new OutputBuffer(pool);
    const expected: Uint8Array[] = [];
    for (let step = 0; step < 300; step++) {
      const large = random.chance(0.02) ? OUTPUT_CHUNK_BYTES * 1.5 : 3000;
      const byteLength = 1 + random.below(large);
      const isAligned = random.chance(0.5);
      const offset = isAligned ? output.reserveAligned(byteLength) : output.reserve(byteLength);
      if (isAligned) assert.equal(offset % 8, 0);
      output.bytes.fill(step, offset, offset + byteLength);
      if (random.chance(0.1)) output.cancel(byteLength);
      else expected.push(new Uint8Array(byteLength).fill(step));
      if (random.chance(0.1)) {
        const most = random.chance(0.1) ? 3 * OUTPUT_PORTION_BYTES : 5000;
        const adopted = new Uint8Array(random.below(most)).fill(step + 1);
        output.adopt(adopted, null);
        expected.push(adopted.slice());
      }
      if (random.chance(0.2)) output.flush(asSocket(socket));
      if (random.chance(0.1)) socket.isPrompt = !socket.isPrompt;
      if (random.chance(0.2)) socket.take(1 + random.below(4));
      if (socket.waitingWrites === 0 && output.waitingBytes > 0 && random.chance(0.5)) {
        output.proceed(asSocket(socket));
      }
      if (random.chance(0.1)) await Promise.resolve();
    }
    output.flush(asSocket(socket));
    assert.equal(output.length, 0);
    socket.takeAll(output);
    assert.ok(Buffer.concat(socket.arrived).equals(Buffer.concat(expected)), `seed ${seed}, round ${round}`);
  }
});

test('a chunk that the socket holds is not used again; one that the kernel took is', async () => {
  const pool = new OutputChunkPool();
  const socket = new SlowSocket();
  const output = new OutputBuffer(pool);
  const used = (): ArrayBufferLike => {
    output.reserve(10);
    const { buffer } = output.bytes;
    output.flush(asSocket(socket));
    return buffer;
  };
  const first = used();
  assert.ok(used() === first, 'taken at once: the same chunk is next');
  await Promise.resolve();
  socket.isPrompt = false;
  assert.ok(used() === first);
  assert.ok(used() !== first, 'the socket holds it');
  socket.take(1);
  assert.ok(used() === first, 'free again');
});

test('frames that leave no gap leave in one write', () => {
  const socket = new SlowSocket();
  const output = new OutputBuffer(new OutputChunkPool());
  for (let count = 0; count < 100; count++) output.reserveAligned(24);
  output.flush(asSocket(socket));
  assert.equal(socket.arrived.length, 1);
});

test('a large response leaves in portions, whatever it consists of, and what comes later stays behind it', () => {
  const socket = new SlowSocket();
  socket.isPrompt = false;
  const output = new OutputBuffer(new OutputChunkPool());
  const pieces = [1, 100, OUTPUT_PORTION_BYTES * 2.5, 70_000, OUTPUT_PORTION_BYTES - 1, 3];
  const bytes = pieces.map((byteLength, index) => new Uint8Array(byteLength).fill(index + 1));
  for (const piece of bytes) output.adopt(piece, null);
  output.flush(asSocket(socket));
  const later = output.reserve(5);
  output.bytes.fill(77, later, later + 5);
  output.flush(asSocket(socket));
  const portions: number[] = [];
  for (;;) {
    portions.push(socket.writableLength);
    socket.take(socket.waitingWrites);
    if (output.waitingBytes === 0) break;
    output.proceed(asSocket(socket));
  }
  assert.ok(portions.every((byteLength) => byteLength <= OUTPUT_PORTION_BYTES));
  assert.equal(portions.length, 4);
  const expected = Buffer.concat([...bytes, new Uint8Array(5).fill(77)]);
  assert.ok(Buffer.concat(socket.arrived).equals(expected));
});

test('the chunk of adopted bytes is free when all of them have left', () => {
  const pool = new OutputChunkPool();
  const socket = new SlowSocket();
  socket.isPrompt = false;
  const output = new OutputBuffer(pool);
  const chunks = Array.from({ length: 3 }, () => pool.acquire(OUTPUT_CHUNK_BYTES));
  for (const chunk of chunks) output.adopt(chunk.bytes, chunk);
  output.flush(asSocket(socket));
  assert.ok(!chunks.includes(pool.acquire(1)), 'the socket holds them, or they wait for it');
  socket.takeAll(output);
  const free = Array.from({ length: 3 }, () => pool.acquire(1));
  assert.ok(free.every((chunk) => chunks.includes(chunk)));
});

test('the end of a connection does not wait for portions', () => {
  const socket = new SlowSocket();
  const output = new OutputBuffer(new OutputChunkPool());
  const piece = new Uint8Array(OUTPUT_PORTION_BYTES * 3).fill(9);
  output.adopt(piece, null);
  output.flush(asSocket(socket));
  assert.equal(output.waitingBytes, OUTPUT_PORTION_BYTES * 2);
  output.finish(asSocket(socket));
  assert.equal(output.waitingBytes, 0);
  assert.ok(Buffer.concat(socket.arrived).equals(Buffer.from(piece)));
});

test('what was discarded never arrives', () => {
  const socket = new SlowSocket();
  const output = new OutputBuffer(new OutputChunkPool());
  output.reserve(3);
  output.reserveAligned(8);
  output.discard();
  output.flush(asSocket(socket));
  const offset = output.reserve(2);
  output.bytes.fill(1, offset, offset + 2);
  output.flush(asSocket(socket));
  assert.deepEqual(socket.arrived, [new Uint8Array([1, 1])]);
});

test('the pool keeps chunks of one size, and not more than its bound', () => {
  const pool = new OutputChunkPool();
  assert.ok(pool.acquire(OUTPUT_CHUNK_BYTES + 1).bytes.length > OUTPUT_CHUNK_BYTES);
  const large = new OutputChunk(OUTPUT_CHUNK_BYTES * 2);
  pool.release(large);
  const chunks = Array.from(
    { length: OUTPUT_CHUNKS_SPARE_MAX + 5 },
    () => new OutputChunk(OUTPUT_CHUNK_BYTES),
  );
  for (const chunk of chunks) pool.release(chunk);
  const again = new Set(chunks.map(() => pool.acquire(1)));
  assert.equal([...again].filter((chunk) => chunks.includes(chunk)).length, OUTPUT_CHUNKS_SPARE_MAX);
  assert.equal(again.has(large), false);
});
