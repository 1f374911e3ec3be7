/**
 * A file into a feature group: the schema shown, the group created when need be, the rows put, the result said.
 *
 * Promises: nothing is put before the schema is shown; what was acknowledged when the import ends early, by an error or by Ctrl-C, is
 * said, is durable, and is where the same command goes on. Returns the exit status: 0 when every row is in, or
 * was refused and to be skipped, 130 when interrupted; an
 * error is thrown for the command line to print.
 *
 * The schema and the result go to stdout, progress and what concerns an earlier or later attempt to stderr.
 */
import { basename } from 'node:path';
import { type Group, Millrace, MillraceError } from '../../client/index.ts';
import { formatBytes, formatCount, formatDuration, formatRate, formatTable } from '../format.ts';
import { EXIT_INTERRUPTED, interruptible } from '../interruption.ts';
import { IMPORT_BATCH_BYTES, IMPORT_BATCH_ROWS, IMPORT_PUTS_IN_FLIGHT } from '../limits.ts';
import { Progress } from '../progress.ts';
import { formatColumnType } from './column-type.ts';
import type { TimeUnit } from './convert.ts';
import {
  assertTypesKnown,
  type ImportPlan,
  type PlanRequest,
  planExistingGroup,
  planIdentity,
  planNewGroup,
} from './import-plan.ts';
import { named, openSource } from './open-source.ts';
import {
  differenceOf,
  fingerprintOf,
  type ImportIdentity,
  NoteWriter,
  ProgressFile,
} from './progress-file.ts';
import { answered } from './refusals.ts';
import { convertBatch, type ImportOutcome, runImport } from './run-import.ts';
import { readSchemaOverride } from './schema-override.ts';
import { SOURCE_START, type Source, type SourceFormat, type SourcePosition } from './source.ts';

/** The options of the command, by the names that commander gives them. */
export interface ImportOptions {
  readonly group: string;
  readonly key: readonly string[];
  readonly eventTime?: string;
  readonly connect: string;
  readonly schema?: string;
  readonly columns?: readonly string[];
  readonly format?: SourceFormat;
  readonly delimiter?: string;
  readonly null?: readonly string[];
  readonly timeUnit?: TimeUnit;
  readonly ttl?: number;
  readonly retention?: number;
  readonly backfill?: boolean;
  readonly skipRefused?: boolean;
  readonly progressFile?: string;
  readonly restart?: boolean;
  readonly dryRun?: boolean;
  readonly plain?: boolean;
}

/** An import waits this long for one answer: a node that restarts after a crash may need a while to read its journal. */
const PUT_TIMEOUT_MS = 60_000;

export async function importFile(path: string, options: ImportOptions): Promise<number> {
  const override = await readSchemaOverride(options.schema);
  const source = await openSource(path, {
    format: options.format,
    delimiter: options.delimiter,
    nullTexts: options.null,
    ignoresUnknown: options.columns !== undefined,
  });
  let client: Millrace | undefined;
  try {
    const request = planRequest(options, override);
    // The plan for a new group needs no node: what is wrong with the file or the options shows first.
    let plan = planNewGroup(source, request);
    if (options.dryRun !== true) {
      client = await Millrace.connect(options.connect, { timeoutMs: PUT_TIMEOUT_MS, retryWrites: true });
      const existing = await groupOrUndefined(client, options.group);
      if (existing !== undefined) plan = planExistingGroup(source, request, existing.schema);
      showPlan(path, source, plan, existing === undefined ? 'new' : 'existing');
      if (existing === undefined) {
        assertTypesKnown(source, plan, request);
        await tryFirstRows(source, plan);
      }
      const group = existing ?? (await client.createGroup(plan.spec));
      return await importInto(path, source, plan, client, group, options);
    }
    showPlan(path, source, plan, 'new');
    assertTypesKnown(source, plan, request);
    return 0;
  } catch (error) {
    throw named(error, path);
  } finally {
    await client?.close();
    await source.close();
  }
}

function planRequest(options: ImportOptions, override: PlanRequest['override']): PlanRequest {
  return {
    group: options.group,
    key: options.key,
    eventTime: options.eventTime,
    columns: options.columns,
    override,
    timeUnit: options.timeUnit,
    ttlSeconds: options.ttl,
    retentionSeconds: options.retention,
  };
}

/** Converts the first batch, so that options that do not fit the file are found before a group stands there with their types. */
async function tryFirstRows(source: Source, plan: ImportPlan): Promise<void> {
  const names = plan.columns.map((column) => column.name);
  for await (const batch of source.read(names, SOURCE_START, IMPORT_BATCH_ROWS)) {
    convertBatch({ source, plan, startedAtMicros: 0 }, batch);
    return;
  }
}

async function groupOrUndefined(client: Millrace, name: string): Promise<Group | undefined> {
  try {
    return await client.group(name);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'GROUP_NOT_FOUND') return undefined;
    throw error;
  }
}

const FORMAT_NAMES: Readonly<Record<SourceFormat, string>> = {
  parquet: 'Parquet',
  csv: 'CSV',
  jsonl: 'JSON lines',
  arrow: 'Arrow',
};

function showPlan(path: string, source: Source, plan: ImportPlan, state: 'new' | 'existing'): void {
  const rows = source.rowCount === undefined ? '' : `${formatCount(source.rowCount)} rows, `;
  const inferred =
    source.inferredRows === undefined
      ? ''
      : `, types from the first ${formatCount(source.inferredRows)} rows`;
  const table = formatTable(
    plan.columns.map(({ name, type, role, note }) => [
      name,
      formatColumnType(type),
      role === 'feature' ? '' : role,
      note === undefined || role === 'event time' ? '' : `(${note})`,
    ]),
  );
  const verb = state === 'new' ? 'to be created' : 'is there';
  process.stdout.write(
    `${basename(path)}: ${FORMAT_NAMES[source.format]}, ${rows}${formatBytes(source.byteCount)}${inferred}\n` +
      `group ${plan.spec.name}, ${verb}:\n${table}`,
  );
}

async function importInto(
  path: string,
  source: Source,
  plan: ImportPlan,
  client: Millrace,
  group: Group,
  options: ImportOptions,
): Promise<number> {
  const file = new ProgressFile(
    options.progressFile ?? `${path}.${encodeURIComponent(options.group)}.import`,
  );
  const identity: ImportIdentity = {
    file: await fingerprintOf(path),
    group: group.name,
    groupCreatedAtMicros: group.schema.createdAtMicros,
    plan: planIdentity(plan, source.format, options.null ?? []),
  };
  const { from, startedAtMicros } = await startingPoint(file, identity, options.restart === true);
  // Written before the first put: an unwritable place is found now, and not after a million rows.
  const note = (position: SourcePosition): Promise<void> =>
    file.write({ identity, position, startedAtMicros });
  await note(from);

  const progress = progressOf(source, from, options);
  const interruption = interruptible();
  const writer = new NoteWriter(note);
  const outcome = await runImport({
    source,
    plan,
    from,
    startedAtMicros,
    batchRows: batchRows(group),
    putsInFlight: IMPORT_PUTS_IN_FLIGHT,
    put: (columns) => answered(client.put(group, { columns }, { backfill: options.backfill === true })),
    skipsRefused: options.skipRefused === true,
    onAdvance: (position) => {
      progress.update(position.row, source.rowCount === undefined ? position.byte : position.row);
      writer.offer(position);
    },
    signal: interruption.signal,
  });
  interruption.end();
  progress.stop();
  await writer.finish();
  return conclude(outcome, from, progress.seconds(), options, file, note);
}

/** Rows whose put is one request a shard; wide rows go in smaller batches. */
function batchRows(group: Group): number {
  const { variableStart, hasVariable } = group.layout;
  const rowBytes = hasVariable ? 2 * variableStart : variableStart;
  return Math.max(1, Math.min(IMPORT_BATCH_ROWS, Math.floor(IMPORT_BATCH_BYTES / rowBytes)));
}

async function startingPoint(
  file: ProgressFile,
  identity: ImportIdentity,
  restarts: boolean,
): Promise<{ from: SourcePosition; startedAtMicros: number }> {
  const fresh = { from: SOURCE_START, startedAtMicros: Date.now() * 1000 };
  const earlier = restarts ? undefined : await file.read();
  if (earlier === undefined || earlier.position.row === 0) return fresh;
  const difference = differenceOf(earlier.identity, identity);
  if (difference !== undefined) {
    process.stderr.write(
      `an earlier import stopped after row ${formatCount(earlier.position.row)}, but ${difference}: beginning at the first row\n`,
    );
    return fresh;
  }
  process.stderr.write(
    `going on after row ${formatCount(earlier.position.row)}, where an earlier import stopped\n`,
  );
  return { from: earlier.position, startedAtMicros: earlier.startedAtMicros };
}

function progressOf(source: Source, from: SourcePosition, options: ImportOptions): Progress {
  // Arrow files do not say how many rows they have before they are read, and rows are not counted by bytes in them.
  const isText = source.format === 'csv' || source.format === 'jsonl';
  return new Progress({
    label: options.group,
    total: source.rowCount ?? (isText ? source.byteCount : 0),
    unit: source.rowCount === undefined && isText ? 'bytes' : 'rows',
    stream: process.stderr,
    isPlain: options.plain === true,
    rowsBefore: from.row,
  });
}

/** Says how the import ended, and leaves the progress file as it must be for the next attempt. */
async function conclude(
  outcome: ImportOutcome,
  from: SourcePosition,
  tookSeconds: number,
  options: ImportOptions,
  file: ProgressFile,
  note: (position: SourcePosition) => Promise<void>,
): Promise<number> {
  const { position, superseded, refusals, error, failedBatch, isInterrupted } = outcome;
  for (const line of refusals.lines()) process.stderr.write(`${line}\n`);
  if (error === undefined && !isInterrupted) {
    await file.remove();
    const rows = position.row - from.row - refusals.rows;
    const late =
      superseded === 0 ? '' : `; ${formatCount(superseded)} went into history only, a newer event was there`;
    const place = options.backfill === true ? ' into history' : '';
    process.stdout.write(
      `imported ${formatCount(rows)} rows${place} in ${formatDuration(tookSeconds)}, ${formatRate(rows, tookSeconds)} rows/s${late}\n`,
    );
    return 0;
  }
  await note(position);
  const safe =
    position.row === 0
      ? 'no row has been acknowledged'
      : `the first ${formatCount(position.row)} rows are acknowledged and durable; the same command goes on from there`;
  process.stderr.write(`${isInterrupted && error === undefined ? 'interrupted: ' : ''}${safe}\n`);
  if (failedBatch !== undefined) {
    const { start, end } = failedBatch;
    process.stderr.write(`rows ${formatCount(start.row + 1)} to ${formatCount(end.row)} could not be put\n`);
  }
  if (error !== undefined) throw error;
  return EXIT_INTERRUPTED;
}
