/**
 * `--schema`: the types that the user sets, over what a file declares or the sample suggests.
 *
 * Either `name:type,name:type` (`delay:int32,embedding:vector(384)`), or the path of a JSON file `{"delay": "int32"}`.
 * A name may contain anything but a colon and a comma in the short form; in JSON, anything.
 */
import { readFile } from 'node:fs/promises';
import { ConnectorError, messageOf, usage } from '../connector-error.ts';
import { type ColumnType, parseColumnType } from './column-type.ts';

export async function readSchemaOverride(argument: string | undefined): Promise<Map<string, ColumnType>> {
  if (argument === undefined) return new Map();
  if (argument.endsWith('.json')) return parseSchemaFile(argument);
  return parseSchemaText(argument);
}

/** The short form. The comma inside `vector(3)` or `list<int64>` there is none, so commas separate columns. */
export function parseSchemaText(text: string): Map<string, ColumnType> {
  const columns = new Map<string, ColumnType>();
  for (const part of text.split(',')) {
    const colon = part.lastIndexOf(':');
    const name = part.slice(0, Math.max(colon, 0)).trim();
    if (name === '') throw usage(`--schema: "${part}" is not name:type, as in delay:int32`);
    if (columns.has(name)) throw usage(`--schema names the column "${name}" twice`);
    columns.set(name, parseColumnType(part.slice(colon + 1).trim()));
  }
  return columns;
}

async function parseSchemaFile(path: string): Promise<Map<string, ColumnType>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const code = error instanceof SyntaxError ? 'FILE_FORMAT_INVALID' : 'FILE_UNREADABLE';
    throw new ConnectorError(code, `--schema ${path}: ${messageOf(error)}`, { cause: error });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new ConnectorError('FILE_FORMAT_INVALID', `--schema ${path}: not an object of "column": "type"`);
  }
  return new Map(
    Object.entries(parsed).map(([name, type]) => {
      if (typeof type !== 'string') throw usage(`--schema ${path}: the type of "${name}" is not a text`);
      return [name, parseColumnType(type)];
    }),
  );
}
