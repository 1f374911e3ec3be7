/**
 * A process that writes blocks until its files may grow no more (`ulimit -f`, set by the test), and then tells what the
 * failed write left behind, as one line of JSON.
 */
import { openBlockStore } from '../../storage/block-store.ts';
import { StorageError } from '../../storage/storage-error.ts';

// Instead of ending the process, the limit then makes the write fail.
process.on('SIGXFSZ', () => undefined);

const codeOf = (error: unknown): string => (error instanceof StorageError ? error.code : String(error));
const store = openBlockStore({ directory: process.argv[2]! });
const bytes = new Uint8Array(4072).fill(7);
let written = 0;
let refusal = '';
while (refusal === '') {
  const batch = Array.from({ length: 50 }, (_, index) => ({ keyHi: 256, keyLo: written + index, bytes }));
  try {
    await store.write(batch);
    written += batch.length;
  } catch (error) {
    refusal = codeOf(error);
  }
}
let visible = 0;
store.scan(256, written, 257, 0, () => {
  visible += 1;
  return undefined;
});
const second = await store.write([{ keyHi: 1, keyLo: 1, bytes }]).then(() => 'written', codeOf);
const isReadable = store.read(256, written - 1)?.[4071] === 7;
process.stdout.write(`${JSON.stringify({ written, refusal, visible, second, isReadable })}\n`);
process.exit(0);
