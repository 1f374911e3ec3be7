/**
 * What `put`, `patch` and `delete` share: where rows come from, the option for versions, and what became of each row.
 *
 * A row's version is its LSN: what `get --with-version` shows and `--if-version` takes.
 */
import type { Readable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { MillraceError, type WriteResult } from '../../client/index.ts';

export interface WriteCommandOptions {
  readonly ifVersion?: number;
  readonly json?: boolean;
}

/** Adds `--if-version` and `--json`. */
export function withWriteOptions(command: Command): Command {
  return command
    .option('--if-version <N>', 'only where the row has this version; 0: only where there is none', version)
    .option('--json', 'one JSON object a row');
}

/** The rows given as arguments or, when there are none, the lines of the input. */
export async function rowTexts(
  args: readonly string[],
  input: Readable & { isTTY?: boolean },
): Promise<string[]> {
  if (args.length > 0) return [...args];
  if (input.isTTY === true) throw new MillraceError('USAGE', 'no row was given, and no lines on the input');
  const parts: Buffer[] = [];
  for await (const part of input) parts.push(part as Buffer);
  const lines = Buffer.concat(parts).toString('utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}

/** Prints what became of each row; the answer is the exit status: 1 when one was refused. */
export function reportWrites(names: readonly string[], result: WriteResult, asJson: boolean): number {
  const refusals = new Map(result.refusals.map((refusal) => [refusal.row, refusal]));
  for (const [row, name] of names.entries()) {
    const status = result.status(row);
    const refusal = refusals.get(row);
    const lsn = result.lsns?.[row] ?? 0;
    if (asJson) {
      const { code, message } = refusal ?? {};
      process.stdout.write(
        `${JSON.stringify(code === undefined ? { status, version: lsn } : { status, code, message })}\n`,
      );
    } else if (refusal === undefined) process.stdout.write(`${name}: ${status}, version ${lsn}\n`);
    else process.stdout.write(`${name}: refused, ${refusal.code}: ${refusal.message}\n`);
  }
  return result.refused === 0 ? 0 : 1;
}

function version(text: string): number {
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('A version, as `get --with-version` shows it, or 0.');
}
