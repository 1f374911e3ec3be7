/** SCAN_CANCEL: ends a scan of this connection with the status CANCELLED. No answer; an unknown scan has just ended. */
import { decodeScanCancelRequest, type Frame, OPERATIONS } from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import type { ScanThread } from '../scan-thread.ts';

export function scanCancelOperation(scans: ScanThread): Operation {
  return {
    number: OPERATIONS.SCAN_CANCEL,
    isContinuation: true,
    handle(context: SessionContext, frame: Frame): void {
      scans.cancel(context.id, decodeScanCancelRequest(frame));
    },
  };
}
