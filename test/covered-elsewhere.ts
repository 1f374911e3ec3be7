/**
 * The sources without a test file of their own name, each with the test that covers it and the reason.
 *
 * A list and not a rule of thumb: leaving out a test is a decision, and here it is made in public. The tidy test
 * refuses a line whose source is gone, whose covering test is gone, or whose source got a test of its own.
 */

export interface Coverage {
  /** From test/. */
  by: string;
  why: string;
}

export const COVERED_ELSEWHERE: Readonly<Record<string, Coverage>> = {
  'client/examples/bulk-load.ts': {
    by: 'client/examples.test.ts',
    why: 'runs every example against a node and checks what it prints',
  },
  'client/examples/export-arrow.ts': {
    by: 'client/examples.test.ts',
    why: 'runs every example against a node and checks what it prints',
  },
  'client/examples/inference.ts': {
    by: 'client/examples.test.ts',
    why: 'runs every example against a node and checks what it prints',
  },
  'client/examples/quick-start.ts': {
    by: 'client/examples.test.ts',
    why: 'runs every example against a node and checks what it prints',
  },
  'client/examples/shared-writes.ts': {
    by: 'client/examples.test.ts',
    why: 'runs every example against a node and checks what it prints',
  },
  'connectors/connector-error.ts': {
    by: 'connectors/files/run-import.test.ts',
    why: 'an error class without logic: the imports that fail show its codes',
  },
  'connectors/interruption.ts': {
    by: 'connectors/files/import-file.test.ts',
    why: 'a signal has to reach a process: the import is run as one',
  },
  'connectors/files/arrow-types.ts': {
    by: 'connectors/files/arrow-source.test.ts',
    why: 'every type is read from a file that has it',
  },
  'connectors/files/command.ts': {
    by: 'connectors/files/import-file.test.ts',
    why: 'the command is run as a person runs it',
  },
  'connectors/files/csv-records.ts': {
    by: 'connectors/files/csv-source.test.ts',
    why: 'records only exist within a file',
  },
  'connectors/files/parquet-types.ts': {
    by: 'connectors/files/parquet-source.test.ts',
    why: 'every type is read from a file that has it',
  },
  'connectors/files/source.ts': {
    by: 'connectors/files/open-source.test.ts',
    why: 'an interface: each source keeps it',
  },
  'connectors/files/text-chunks.ts': {
    by: 'connectors/files/csv-source.test.ts',
    why: 'chunks that cut records and characters are read through the CSV source',
  },
  'connectors/flights/command.ts': {
    by: 'connectors/flights/demo.test.ts',
    why: 'the command is run as a person runs it',
  },
  'connectors/flights/footprint.ts': {
    by: 'connectors/flights/demo.test.ts',
    why: 'it asks a running node',
  },
  'connectors/flights/load.ts': {
    by: 'connectors/flights/demo.test.ts',
    why: 'it loads a running node',
  },
  'connectors/flights/measure.ts': {
    by: 'connectors/flights/demo.test.ts',
    why: 'it asks a running node',
  },
  'connectors/flights/node-process.ts': {
    by: 'connectors/flights/demo.test.ts',
    why: 'it starts and stops a node',
  },
  'connectors/flights/report.ts': {
    by: 'connectors/flights/demo.test.ts',
    why: 'what it prints is compared',
  },
  'protocol/requests/encoded-rows.ts': {
    by: 'protocol/requests/put.test.ts',
    why: 'rows stand so in a PUT, cut and damaged there',
  },
  'protocol/row-patch.ts': {
    by: 'protocol/row-patch-encode.test.ts',
    why: 'steps are built to be encoded',
  },
  'server/arrow-buffer.ts': {
    by: 'server/arrow-writer.test.ts',
    why: 'buffers are read back as Arrow',
  },
  'server/arrow-columns.ts': {
    by: 'server/arrow-writer.test.ts',
    why: 'every type is written and read back as Arrow',
  },
  'server/arrow-lists.ts': {
    by: 'server/arrow-writer.test.ts',
    why: 'every item type is written and read back as Arrow',
  },
  'server/arrow-schema.ts': {
    by: 'server/arrow-writer.test.ts',
    why: 'the schema is read back as Arrow',
  },
  'server/cli/connection.ts': {
    by: 'server/cli/get.test.ts',
    why: 'each command connects; a refused connection is shown there',
  },
  'server/cli/delete.ts': {
    by: 'server/cli/put.test.ts',
    why: 'rows that were put are deleted',
  },
  'server/cli/row-text.ts': {
    by: 'server/cli/get.test.ts',
    why: 'rows are printed by the command',
  },
  'server/control-link.ts': {
    by: 'server/node.test.ts',
    why: 'it joins two threads, and a node has them',
  },
  'server/gathered-gets.ts': {
    by: 'server/operations/get.test.ts',
    why: 'gathered and lone gets are compared over a session',
  },
  'server/in-flight.ts': {
    by: 'server/session.test.ts',
    why: 'the bounds it keeps are a session’s',
  },
  'server/log.ts': {
    by: 'server/cli/serve.test.ts',
    why: 'it only configures pino; what a server logs is read there',
  },
  'server/launch.cts': {
    by: 'server/cli/serve.test.ts',
    why: 'the program is run as a person runs it',
  },
  'server/operations/alter-group.ts': {
    by: 'client/schema-evolution.test.ts',
    why: 'asked of a running node',
  },
  'server/operations/read-point.ts': {
    by: 'client/as-of.test.ts',
    why: 'asked of every shard of a running node',
  },
  'server/cli/time-argument.ts': {
    by: 'server/cli/key-argument.test.ts',
    why: 'moments are parsed there as keys',
  },
  'server/operations/create-group.ts': {
    by: 'server/node.test.ts',
    why: 'asked of a running node',
  },
  'server/operations/delete.ts': {
    by: 'server/node.test.ts',
    why: 'rows are written to a running node and read back',
  },
  'server/operations/drop-group.ts': {
    by: 'server/node.test.ts',
    why: 'asked of a running node',
  },
  'server/operations/every-port.ts': {
    by: 'server/node.test.ts',
    why: 'every port of a running node is asked',
  },
  'server/operations/get-group.ts': {
    by: 'server/node.test.ts',
    why: 'asked of a running node',
  },
  'server/operations/hello.ts': {
    by: 'server/bad-input.test.ts',
    why: 'good and bad greetings over raw sockets',
  },
  'server/operations/list-groups.ts': {
    by: 'server/node.test.ts',
    why: 'asked of a running node',
  },
  'server/operations/map.ts': {
    by: 'server/node.test.ts',
    why: 'asked of a running node',
  },
  'server/operations/ping.ts': {
    by: 'server/bad-input.test.ts',
    why: 'asked after each kind of bad input',
  },
  'server/operations/put.ts': {
    by: 'server/node.test.ts',
    why: 'rows are written to a running node and read back',
  },
  'server/operations/scan-cancel.ts': {
    by: 'server/scan.test.ts',
    why: 'scans are asked for, fed and ended over sockets',
  },
  'server/operations/scan-credit.ts': {
    by: 'server/scan.test.ts',
    why: 'scans are asked for, fed and ended over sockets',
  },
  'server/operations/scan.ts': {
    by: 'server/scan.test.ts',
    why: 'scans are asked for, fed and ended over sockets',
  },
  'server/operations/status.ts': {
    by: 'server/node.test.ts',
    why: 'asked of a running node',
  },
  'server/record-copy.ts': {
    by: 'server/operations/get.test.ts',
    why: 'copied rows are compared byte by byte',
  },
  'server/request-fields.ts': {
    by: 'server/bad-input.test.ts',
    why: 'four accessors, read in every request',
  },
  'server/row-response.ts': {
    by: 'server/operations/get.test.ts',
    why: 'answers are compared with a slow twin’s',
  },
  'server/scan-limits.ts': {
    by: 'server/scan-thread.test.ts',
    why: 'constants: the bounds are reached there',
  },
  'server/scan-plan.ts': {
    by: 'server/scan-thread.test.ts',
    why: 'plans are run turn by turn',
  },
  'server/scan-stream.ts': {
    by: 'server/scan-thread.test.ts',
    why: 'frames and credit are counted turn by turn',
  },
  'server/scan-worker.ts': {
    by: 'server/scan.test.ts',
    why: 'a thread’s entry: a node has one a shard',
  },
  'server/server-error.ts': {
    by: 'server/dispatch.test.ts',
    why: 'which errors have a code is what dispatch answers',
  },
  'server/shard-services.ts': {
    by: 'server/operations/get.test.ts',
    why: 'keys are resolved and looked up there',
  },
  'server/shard-worker.ts': {
    by: 'server/node.test.ts',
    why: 'a thread’s entry: a node has one a shard',
  },
  'server/socket-reader.ts': {
    by: 'server/session.test.ts',
    why: 'it feeds a session’s sockets',
  },
  'server/supervisor.ts': {
    by: 'server/node.test.ts',
    why: 'it is the life of a node',
  },
  'server/worker-thread.ts': {
    by: 'server/node.test.ts',
    why: 'it is the life of a thread',
  },
  'storage/block-replay.ts': {
    by: 'storage/recovery.test.ts',
    why: 'all blocks, damaged ones and those newer than a checkpoint are applied by the starts there',
  },
  'storage/flush-cycle.ts': {
    by: 'storage/shard-store.test.ts',
    why: 'when a flush begins and who waits for it only shows on a whole shard',
  },
  'storage/shard-options.ts': {
    by: 'storage/shard-store.test.ts',
    why: 'types, and a function of one line that every turn of a flush goes through',
  },
  'storage/shard-parts.ts': {
    by: 'storage/shard-store.test.ts',
    why: 'opening a shard is how each of its tests begins, and the damaged, full and newer directories are there too',
  },
  'storage/group-policy.ts': {
    by: 'storage/write-path.test.ts',
    why: 'a type and a default; what they lead to is what writes and compaction do',
  },
  'storage/buffered-versions.ts': {
    by: 'storage/shard-store.test.ts',
    why: 'what is handed to scans before and after a flush',
  },
  'storage/flush.ts': {
    by: 'storage/shard-store.test.ts',
    why: 'a flush moves what a store holds',
  },
  'storage/index-checkpoint-format.ts': {
    by: 'storage/index-checkpoint.test.ts',
    why: 'every byte of a written file is flipped, and the golden file is compared, there',
  },
  'storage/index-checkpoint-reader.ts': {
    by: 'storage/index-checkpoint.test.ts',
    why: 'what is written is read back there, whole and damaged',
  },
  'storage/index-checkpoint-writer.ts': {
    by: 'storage/index-checkpoint.test.ts',
    why: 'writes while the index changes, with errors and when abandoned',
  },
  'storage/index-compare.ts': {
    by: 'storage/index-checkpoints.test.ts',
    why: 'every start there is compared with one from all blocks',
  },
  'storage/index-prune.ts': {
    by: 'storage/index-checkpoints.test.ts',
    why: 'entries lose their blocks when a shard compacts after a checkpoint, and is killed',
  },
  'storage/index-runs.ts': {
    by: 'storage/index-checkpoint.test.ts',
    why: 'tables that wrap, split and are empty are copied and loaded there',
  },
  'storage/index-touch.ts': {
    by: 'storage/recovery.test.ts',
    why: 'it changes no result; recovery and writes run through it',
  },
  'storage/read-batch.ts': {
    by: 'storage/read-path.test.ts',
    why: 'columns without logic',
  },
  'storage/sweep.ts': {
    by: 'storage/compaction.test.ts',
    why: 'sweeps run, are stopped and go on',
  },
  'storage/sweep-moves.ts': {
    by: 'storage/compaction.test.ts',
    why: 'lookups find every row after each step',
  },
  'storage/sweep-order.ts': {
    by: 'storage/sweep-unit.test.ts',
    why: 'its comparison is held to a slow one',
  },
  'storage/sweep-sources.ts': {
    by: 'storage/compaction.test.ts',
    why: 'sweeps read real runs',
  },
  'storage/sweep-step.ts': {
    by: 'storage/compaction.test.ts',
    why: 'steps are written, and killed, with real files',
  },
  'storage/unit-merge.ts': {
    by: 'storage/compaction.test.ts',
    why: 'units are appended, merged and rewritten',
  },
  'storage/version-order.ts': {
    by: 'storage/version-merge.test.ts',
    why: 'its loops are held to a slow merge',
  },
  'storage/newest-version.ts': {
    by: 'storage/record-writer.test.ts',
    why: 'conditions and patches are decided by it there',
  },
  'storage/record-applier.ts': {
    by: 'storage/write-path.test.ts',
    why: 'what is applied, and when, is seen there',
  },
  'storage/write-deferral.ts': {
    by: 'storage/record-writer.test.ts',
    why: 'requests wait there for cold bases',
  },
  'storage/write-queue.ts': {
    by: 'storage/write-path.test.ts',
    why: 'groups are opened, committed and refused there',
  },
  'storage/write-group.ts': {
    by: 'storage/write-path.test.ts',
    why: 'groups are built by the write path',
  },
  'storage/write-request.ts': {
    by: 'storage/shard-store.test.ts',
    why: 'an interface and two constants',
  },
  'client/backup-feed.ts': {
    by: 'server/backup.test.ts',
    why: 'every backup there is read through it',
  },
  'protocol/requests/backup.ts': {
    by: 'protocol/golden.test.ts',
    why: 'has the bytes of its messages; server/backup.test.ts sends them',
  },
  'server/backup-directory.ts': {
    by: 'server/backup.test.ts',
    why: 'foreign, unfinished, finished and damaged directories',
  },
  'server/backup-service.ts': {
    by: 'server/backup.test.ts',
    why: 'serves every backup taken there',
  },
  'server/cli/backup.ts': {
    by: 'crash/movement-kill.test.ts',
    why: 'runs the command, and kills it; prune is in server/backup.test.ts',
  },
  'server/cli/progress-bar.ts': {
    by: 'crash/movement-kill.test.ts',
    why: 'the commands run there draw it',
  },
  'server/cli/reshard.ts': {
    by: 'crash/movement-kill.test.ts',
    why: 'runs the command, and kills it',
  },
  'server/cli/restore.ts': {
    by: 'crash/movement-kill.test.ts',
    why: 'runs the command, and kills it',
  },
  'server/directory-lock.ts': {
    by: 'server/data-directory.test.ts',
    why: 'locks, holders and what is in their text',
  },
  'server/operations/backup.ts': {
    by: 'server/backup.test.ts',
    why: 'every backup there asks through it',
  },
  'server/restore.ts': {
    by: 'server/backup.test.ts',
    why: 'restores whole, damaged, expired and chained backups',
  },
  'server/source-meta.ts': {
    by: 'server/reshard.test.ts',
    why: 'no LSN is given twice after shards became others',
  },
  'storage/backup-view.ts': {
    by: 'server/backup.test.ts',
    why: 'what it lists of a store under writes is compared with the store',
  },
  'storage/record-mover.ts': {
    by: 'server/reshard.test.ts',
    why: 'moves every version between shard counts',
  },
  'storage/shard-source.ts': {
    by: 'server/reshard.test.ts',
    why: 'reads killed and closed shards, every version compared',
  },
  'storage/stored-value.ts': {
    by: 'server/backup.test.ts',
    why: 'verifies every value on its way',
  },
  'storage/verify-block.ts': {
    by: 'storage/verify-shard.test.ts',
    why: 'verification of a shard is where every block is looked at',
  },
  'storage/verify-files.ts': {
    by: 'storage/verify-shard.test.ts',
    why: 'its last test damages a journal and an index checkpoint',
  },
  'server/cli/inspect.ts': {
    by: 'server/cli/verify.test.ts',
    why: 'its table and its JSON are asked for there',
  },
  'server/cli/repair.ts': {
    by: 'server/cli/verify.test.ts',
    why: 'its last test has a damaged block dropped, dry and wet',
  },
  'server/cli/offline-directory.ts': {
    by: 'server/cli/verify.test.ts',
    why: 'directories that are whole, missing and in use are opened there',
  },
  'server/cli/shard-findings.ts': {
    by: 'server/cli/verify.test.ts',
    why: 'its findings are what the command prints',
  },
  'server/cli/work-progress.ts': {
    by: 'server/cli/verify.test.ts',
    why: 'the command shows it while it reads',
  },
  'client/erasure.ts': {
    by: 'server/eraser.test.ts',
    why: 'every erasure there is asked through it',
  },
  'protocol/requests/erase.ts': {
    by: 'protocol/golden.test.ts',
    why: 'has the bytes of its messages; server/eraser.test.ts sends them',
  },
  'server/erase-proof.ts': {
    by: 'server/eraser.test.ts',
    why: 'what it proves is compared with a search for the row itself',
  },
  'server/operations/erase.ts': {
    by: 'server/eraser.test.ts',
    why: 'every erasure there asks through it',
  },
  'storage/free-page-eraser.ts': {
    by: 'server/eraser.test.ts',
    why: 'old bytes of erased rows are searched for in the block store',
  },
  'storage/key-erasure.ts': {
    by: 'server/eraser.test.ts',
    why: 'erases among flushed, compacted and journalled versions',
  },
};
