/**
 * A thread that reads a block store that another thread of the process writes: what a scan thread does.
 *
 * It opens the store named in its workerData and answers messages: `read` with the value's first byte, or -1, as its
 * snapshot sees it; `scan` with the number of keys; `renew` and `close` when they are done.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openBlockStore } from '../../storage/block-store.ts';

export interface ReaderRequest {
  readonly what: 'read' | 'scan' | 'renew' | 'close';
  readonly keyHi?: number;
  readonly keyLo?: number;
}

const store = openBlockStore({ directory: String(workerData), readOnly: true });
const snapshot = store.openSnapshot();

async function answer({ what, keyHi = 0, keyLo = 0 }: ReaderRequest): Promise<number> {
  if (what === 'read') return snapshot.read(keyHi, keyLo)?.[0] ?? -1;
  if (what === 'renew') snapshot.renew();
  if (what === 'close') {
    snapshot.close();
    await store.close();
  }
  if (what !== 'scan') return 0;
  let count = 0;
  snapshot.scan(0, 0, 2 ** 32 - 1, 0, () => {
    count += 1;
    return undefined;
  });
  return count;
}

parentPort!.on('message', (request: ReaderRequest) => {
  void answer(request).then((result) => {
    parentPort!.postMessage(result);
    if (request.what === 'close') parentPort!.close();
  });
});
parentPort!.postMessage('ready');
