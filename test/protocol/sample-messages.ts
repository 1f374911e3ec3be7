/**
 * One of every message, with fixed contents: what the golden bytes under test/golden/ and the examples of
 * docs/formats/wire.md are made of. Names are those of the files.
 */

import {
  add,
  append,
  type ByteWriter,
  changeSchema,
  compileLayout,
  DTYPE_FLOAT32,
  encodeAlterGroupRequest,
  encodeAlterGroupResponse,
  encodeBackupBlocksRequest,
  encodeBackupBlocksResponse,
  encodeBackupKeysRequest,
  encodeBackupKeysResponse,
  encodeBackupOpenRequest,
  encodeBackupOpenResponse,
  encodeCreateGroupRequest,
  encodeCreateGroupResponse,
  encodeDeleteRequest,
  encodeDeleteResponse,
  encodeDropGroupRequest,
  encodeDropGroupResponse,
  encodeEraseRequest,
  encodeEraseResponse,
  encodeErrorResponse,
  encodeGetGroupRequest,
  encodeGetGroupResponse,
  encodeGetMatrixRequest,
  encodeGetMatrixResponse,
  encodeGetRequest,
  encodeGetResponse,
  encodeHelloRequest,
  encodeHelloResponse,
  encodeKeys,
  encodeListGroupsRequest,
  encodeListGroupsResponse,
  encodeMapRequest,
  encodeMapResponse,
  encodePatch,
  encodePatchRequest,
  encodePatchResponse,
  encodePingRequest,
  encodePingResponse,
  encodePutRequest,
  encodePutResponse,
  encodeReadPointRequest,
  encodeReadPointResponse,
  encodeRow,
  encodeScanCancelRequest,
  encodeScanCreditRequest,
  encodeScanData,
  encodeScanEnd,
  encodeScanRequest,
  encodeStatusRequest,
  encodeStatusResponse,
  type KeyBatch,
  matrixShape,
  max,
  OPERATIONS,
} from '../../protocol/index.ts';
import { bytesOf } from './frames.ts';
import { ROUTE, ROUTE_ROW, schemaOf } from './sample-schemas.ts';

export const OPTIONS = { correlationId: 7 };

/** A request header with every field in use. */
export const FULL_OPTIONS = {
  correlationId: 0x01020304,
  mapEpoch: 3,
  timeoutMs: 250,
  clientIdLo: 0x55667788,
  clientIdHi: 0x11223344,
  sequence: 9,
};

export const EVENT_TIME = 1_700_000_000_123_456;

export function routeKeys(): KeyBatch {
  return encodeKeys(ROUTE.key, [['SFO', 'JFK'], { origin: 'LAX', destination: 'EWR' }]);
}

/** Keys of unequal length, which carry offsets. */
function unequalKeys(): KeyBatch {
  return encodeKeys([{ name: 'user', type: 'string' }], ['a', '', 'Zürich']);
}

/** The route row and a row of nulls, with their offsets. */
export function routeRows(): { rows: Uint8Array; rowOffsets: Uint32Array } {
  const layout = compileLayout(ROUTE);
  let middle = 0;
  const rows = bytesOf((writer) => {
    encodeRow(layout, ROUTE_ROW, writer);
    middle = writer.length;
    encodeRow(layout, {}, writer);
  });
  return { rows, rowOffsets: Uint32Array.of(0, middle, rows.length) };
}

function appendGetResponse(writer: ByteWriter): void {
  const { rows, rowOffsets } = routeRows();
  encodeGetResponse(writer, 7, {
    count: 3,
    // The second key's row is missing.
    offsets: [0, rowOffsets[1]!, rowOffsets[1]!, rows.length],
    eventTimes: [EVENT_TIME, 0, -1],
    lsns: [42, 0, 43],
    rows,
  });
}

function appendMatrixResponse(writer: ByteWriter): void {
  encodeGetMatrixResponse(writer, 7, matrixShape(2, 3, DTYPE_FLOAT32, true), {
    found: Uint8Array.of(1, 0),
    validity: Uint8Array.of(0b101, 0),
    eventTimes: [EVENT_TIME, 0],
    data: [-4, Number.NaN, 12.5, Number.NaN, Number.NaN, Number.NaN],
  });
}

function appendPutRequest(writer: ByteWriter): void {
  encodePutRequest(writer, FULL_OPTIONS, {
    groupId: 5,
    schemaVersion: 1,
    eventTimes: Float64Array.of(EVENT_TIME, -1),
    keys: routeKeys(),
    ...routeRows(),
  });
}

function appendConditionalDelete(writer: ByteWriter): void {
  encodeDeleteRequest(writer, OPTIONS, {
    groupId: 5,
    eventTimes: [EVENT_TIME, -1],
    keys: routeKeys(),
    ifVersions: [42, 0],
  });
}

/** SFO–JFK: a mean delay of at least 1, one departure more, no carrier; LAX–EWR: its delay set. */
function appendPatchRequest(writer: ByteWriter): void {
  const layout = compileLayout(ROUTE);
  let middle = 0;
  const rows = bytesOf((patches) => {
    encodePatch(layout, { mean_delay: max(1), departures: add(1), carrier: null }, patches);
    middle = patches.length;
    encodePatch(layout, { delay: -4 }, patches);
  });
  encodePatchRequest(writer, FULL_OPTIONS, {
    groupId: 5,
    eventTimes: Float64Array.of(EVENT_TIME, -1),
    keys: routeKeys(),
    rows,
    rowOffsets: Uint32Array.of(0, middle, rows.length),
    isTimeFloor: true,
  });
}

/** An append alone, to a list of strings. */
function appendListPatch(writer: ByteWriter): void {
  const layout = compileLayout(schemaOf([{ name: 'tags', type: 'list', item: 'string' }]));
  encodePatch(layout, { tags: append(['ORD', ''], { max: 50 }) }, writer);
}

const PARTITION_MAP = {
  epoch: 3,
  partitionCount: 4096,
  nodes: [{ id: 'n1', host: '', shards: [{ port: 7400, scanPort: 7401 }] }],
  owners: new Uint16Array(4096),
};

const SCAN = {
  group: 'route',
  partitions: [
    [0, 64],
    [128, 129],
  ] as [number, number][],
  columns: ['origin', 'mean_delay'],
  batchRows: 1024,
  creditBytes: 1_048_576,
};

/** Bytes of every message, by golden name. */
export const SAMPLE_MESSAGES: Readonly<Record<string, (writer: ByteWriter) => void>> = {
  'hello-request': (w) => encodeHelloRequest(w, OPTIONS, { client: 'example/1.0' }),
  'hello-request-token': (w) =>
    encodeHelloRequest(w, OPTIONS, { client: 'example/1.0', token: 's3cret', minVersion: 1, maxVersion: 9 }),
  'hello-response': (w) =>
    encodeHelloResponse(w, 7, {
      version: 1,
      server: 'millrace/0.1.0',
      clusterId: 'c1',
      nodeId: 'n1',
      seedLo: 0x55667788,
      seedHi: 0x11223344,
      role: 'shard',
      shardIndex: 0,
      shardCount: 2,
      frameBytesMax: 16_777_216,
    }),
  'map-request': (w) => encodeMapRequest(w, OPTIONS),
  'map-response': (w) => encodeMapResponse(w, 7, PARTITION_MAP),
  'status-request': (w) => encodeStatusRequest(w, OPTIONS),
  'status-response': (w) =>
    encodeStatusResponse(w, 7, { nodeId: 'n1', version: '0.1.0', uptimeSeconds: 60, shards: [{ rows: 3 }] }),
  'create-group-request': (w) =>
    encodeCreateGroupRequest(w, OPTIONS, {
      spec: {
        name: 'tail',
        key: [{ name: 'id', type: 'uuid' }],
        features: [{ name: 'v', type: 'vector', length: 2 }],
      },
      ifNotExists: true,
    }),
  'create-group-response': (w) => encodeCreateGroupResponse(w, 7, ROUTE),
  'alter-group-request': (w) =>
    encodeAlterGroupRequest(w, OPTIONS, {
      name: 'route',
      change: {
        add: [{ name: 'gate', type: 'string', default: '?' }],
        drop: ['delay'],
        retentionSeconds: 86_400,
      },
    }),
  'alter-group-response': (w) =>
    encodeAlterGroupResponse(
      w,
      7,
      changeSchema(
        ROUTE,
        { add: [{ name: 'gate', type: 'string', default: '?' }], drop: ['delay'], retentionSeconds: 86_400 },
        0,
      ),
    ),
  'get-group-request': (w) => encodeGetGroupRequest(w, OPTIONS, 'route'),
  'get-group-response': (w) => encodeGetGroupResponse(w, 7, ROUTE),
  'list-groups-request': (w) => encodeListGroupsRequest(w, OPTIONS),
  'list-groups-response': (w) =>
    encodeListGroupsResponse(w, 7, [schemaOf([{ name: 'tags', type: 'list', item: 'string' }])]),
  'drop-group-request': (w) => encodeDropGroupRequest(w, OPTIONS, 'route'),
  'drop-group-response': (w) => encodeDropGroupResponse(w, 7),
  'get-request': (w) => encodeGetRequest(w, OPTIONS, 5, routeKeys()),
  'get-request-unequal-keys': (w) => encodeGetRequest(w, OPTIONS, 6, unequalKeys()),
  'get-response': appendGetResponse,
  'get-matrix-request': (w) =>
    encodeGetMatrixRequest(w, OPTIONS, {
      groupId: 5,
      dtype: DTYPE_FLOAT32,
      withEventTimes: true,
      featureIds: [1, 4, 2],
      keys: routeKeys(),
    }),
  'get-matrix-response': appendMatrixResponse,
  'put-request': appendPutRequest,
  'put-request-backfill': (w) =>
    encodePutRequest(w, OPTIONS, {
      groupId: 5,
      schemaVersion: 1,
      eventTimes: Float64Array.of(EVENT_TIME, -1),
      keys: routeKeys(),
      ...routeRows(),
      isBackfill: true,
    }),
  'put-response': (w) => encodePutResponse(w, 0x01020304, 2, Uint8Array.of(0, 1), [44, 45]),
  'delete-request': (w) =>
    encodeDeleteRequest(w, OPTIONS, { groupId: 5, eventTimes: [EVENT_TIME, -1], keys: routeKeys() }),
  'delete-request-if-version': appendConditionalDelete,
  'delete-response': (w) => encodeDeleteResponse(w, 7, 2, Uint8Array.of(0, 30), [46, 0]),
  'patch-request': appendPatchRequest,
  'patch-append': appendListPatch,
  'patch-response': (w) => encodePatchResponse(w, 0x01020304, 2, Uint8Array.of(0, 31), [48, 0]),
  'scan-request': (w) => encodeScanRequest(w, OPTIONS, SCAN),
  'scan-request-all': (w) =>
    encodeScanRequest(w, OPTIONS, {
      group: 'route',
      partitions: null,
      columns: null,
      batchRows: 65536,
      creditBytes: 1,
    }),
  'scan-request-as-of': (w) =>
    encodeScanRequest(w, OPTIONS, {
      group: 'route',
      partitions: null,
      columns: null,
      batchRows: 65536,
      creditBytes: 1_048_576,
      schemaVersion: 2,
      asOf: EVENT_TIME,
      readPoint: EVENT_TIME + 5_000_000,
      since: 0,
    }),
  'read-point-request': (w) => encodeReadPointRequest(w, OPTIONS, EVENT_TIME),
  'read-point-response': (w) => encodeReadPointResponse(w, 7, EVENT_TIME + 1),
  'scan-data': (w) =>
    encodeScanData(w, 7, 63, 2, [Uint8Array.of(255, 255, 255, 255), Uint8Array.of(0, 0, 0, 0)]),
  'scan-end': (w) => encodeScanEnd(w, 7, { rows: 2, bytes: 8, partitions: 65 }),
  'scan-credit-request': (w) =>
    encodeScanCreditRequest(w, { correlationId: 8 }, { scanCorrelationId: 7, bytes: 65536 }),
  'scan-cancel-request': (w) => encodeScanCancelRequest(w, { correlationId: 9 }, 7),
  'backup-open-request': (w) => encodeBackupOpenRequest(w, OPTIONS, { isPinned: true }),
  'backup-open-response': (w) =>
    encodeBackupOpenResponse(w, 7, {
      nodeId: 'n1',
      clusterId: 'c1',
      generation: 0,
      hashSeed: '1122334455667788',
      shardIndex: 0,
      shardCount: 2,
      catalog: '{}',
      meta: [{ keyHi: 0, keyLo: 1, bytes: Uint8Array.of(1, 2, 3) }],
    }),
  'backup-keys-request': (w) => encodeBackupKeysRequest(w, OPTIONS, 65536),
  'backup-keys-response': (w) => encodeBackupKeysResponse(w, 7, Uint32Array.of(256, 1, 512, 1), true),
  'backup-blocks-request': (w) => encodeBackupBlocksRequest(w, OPTIONS, Uint32Array.of(256, 1, 256, 2)),
  'backup-blocks-response': (w) =>
    encodeBackupBlocksResponse(w, 7, 2, (index) => (index === 0 ? Uint8Array.of(1, 2, 3) : undefined)),
  'ping-request': (w) => encodePingRequest(w, OPTIONS),
  'ping-response': (w) => encodePingResponse(w, 7),
  'erase-request': (w) => encodeEraseRequest(w, OPTIONS, { groupId: 5, key: Uint8Array.of(1, 2, 3) }),
  'erase-response': (w) =>
    encodeEraseResponse(w, 7, {
      files: 9,
      bytes: 4096,
      newer: 1,
      partition: 12,
      highestLsn: 44,
      milliseconds: 250,
    }),
  'error-response': (w) => encodeErrorResponse(w, OPERATIONS.GET, 7, 'OVERLOADED', 'try later', 50),
};
