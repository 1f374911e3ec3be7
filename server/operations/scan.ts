/** SCAN: begins a scan of this shard's partitions; its frames follow in later turns (scan-stream.ts). */
import { decodeScanRequest, type Frame, OPERATIONS } from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import type { ScanThread } from '../scan-thread.ts';

const CORRELATION_ID_AT = 8;

export function scanOperation(scans: ScanThread): Operation {
  return {
    number: OPERATIONS.SCAN,
    handle(context: SessionContext, frame: Frame): void {
      const correlationId = frame.view.getUint32(frame.offset + CORRELATION_ID_AT, true);
      scans.begin(context, correlationId, decodeScanRequest(frame));
    },
  };
}
