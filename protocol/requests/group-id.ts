/** The group of a data request: the first u16 of every GET, GET_MATRIX, PUT and DELETE body. */

import type { Frame } from '../frame-decoder.ts';
import { requestBody } from '../frame-header.ts';
import { ProtocolError } from '../protocol-error.ts';

/** Read first: its schema is needed to decode the rest. */
export function readGroupId(frame: Frame): number {
  const body = requestBody(frame);
  if (frame.end - body < 8) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a data request has at least 8 bytes of body; this has ${frame.end - body}`,
    );
  }
  return frame.view.getUint16(body, true);
}
