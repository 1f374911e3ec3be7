/**
 * The type of a file's column, in Millrace's words: what a reader found, what `--schema` asks for.
 *
 * Promises: `formatColumnType` and `parseColumnType` are inverse; the text form is what people type and what the
 * progress file and the shown schema hold: `int32`, `vector(384)`, `list<float64>`.
 * A column type is a feature type, or `uuid`, which only an entity key has (as a feature it is a string).
 */
import {
  FEATURE_TYPES,
  type FeatureSpec,
  type FeatureType,
  type KeyType,
  LIST_ITEM_TYPES,
  type ListItemType,
} from '../../protocol/index.ts';
import { usage } from '../connector-error.ts';

export interface ColumnType {
  readonly type: FeatureType | 'uuid';
  /** Items of a vector; only there. */
  readonly length?: number;
  /** Type of a list's items; only there. */
  readonly item?: ListItemType;
}

/** A column as a file has it. */
export interface SourceColumn extends ColumnType {
  readonly name: string;
  /** What the reader must tell the user about it: mixed types, no value in the sample. */
  readonly note?: string;
}

const VECTOR = /^vector\((\d{1,5})\)$/;
const LIST = /^list<([a-z0-9]+)>$/;

/** The type a text names; a USAGE error lists what may stand there. */
export function parseColumnType(text: string): ColumnType {
  const vector = VECTOR.exec(text);
  if (vector !== null && Number(vector[1]) > 0) return { type: 'vector', length: Number(vector[1]) };
  const item = LIST.exec(text)?.[1] as ListItemType | undefined;
  if (item !== undefined && LIST_ITEM_TYPES.includes(item)) return { type: 'list', item };
  const scalar = text as FeatureType;
  if (FEATURE_TYPES.includes(scalar) && scalar !== 'vector' && scalar !== 'list') return { type: scalar };
  if (text === 'uuid') return { type: 'uuid' };
  throw usage(
    `"${text}" is no column type: bool, int8, int16, int32, int64, float32, float64, timestamp, string, bytes, uuid ` +
      '(keys only), msgpack, vector(LENGTH) and list<ITEM> are',
  );
}

export function formatColumnType(column: ColumnType): string {
  if (column.type === 'vector') return `vector(${column.length})`;
  if (column.type === 'list') return `list<${column.item}>`;
  return column.type;
}

/** The key type that holds a column, or undefined when none does: floats, bools and nested values are no keys. */
export function keyTypeOf(column: ColumnType): KeyType | undefined {
  switch (column.type) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return 'int64';
    case 'string':
    case 'bytes':
    case 'uuid':
    case 'timestamp':
      return column.type;
    default:
      return undefined;
  }
}

/** The feature that holds a column. */
export function featureOf(name: string, column: ColumnType): FeatureSpec {
  const type = column.type === 'uuid' ? 'string' : column.type;
  return {
    name,
    type,
    ...(column.length === undefined ? {} : { length: column.length }),
    ...(column.item === undefined ? {} : { item: column.item }),
  };
}
