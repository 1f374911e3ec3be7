/**
 * Parquet's column types in Millrace's words.
 *
 * | Parquet | here |
 * |---|---|
 * | BOOLEAN | bool |
 * | INT32, INT64 with or without INT_n | int32, int64, or the annotated int8, int16, int32 |
 * | UINT_8, UINT_16, UINT_32, UINT_64 | int16, int32, int64, int64 (a value above 2^63 - 1 is an error) |
 * | FLOAT, FLOAT16 / DOUBLE, DECIMAL | float32 / float64 |
 * | TIMESTAMP, DATE, INT96 | timestamp (nanoseconds are cut to microseconds) |
 * | TIME | its integer |
 * | BYTE_ARRAY with STRING, ENUM / without | string / bytes |
 * | UUID | uuid |
 * | JSON, VARIANT, struct, map, nested list | msgpack |
 * | LIST of one of the scalars or strings | list |
 */
import type { SchemaElement, SchemaTree } from 'hyparquet';
import type { ListItemType } from '../../protocol/index.ts';
import { LIST_ITEM_TYPES } from '../../protocol/index.ts';
import type { ColumnType, SourceColumn } from './column-type.ts';

export function parquetColumn(node: SchemaTree): SourceColumn {
  return { name: node.element.name, ...columnType(node) };
}

/**
 * Gives the elements that newer writers annotate with a logical type alone the converted type that hyparquet decodes by;
 * without it, days would pass for microseconds and text for bytes.
 */
export function completeAnnotations(schema: readonly SchemaElement[]): void {
  for (const element of schema) {
    const logical = element.logical_type;
    if (logical?.type === 'ENUM' || element.converted_type === 'ENUM') element.converted_type = 'UTF8';
    if (element.converted_type !== undefined || logical === undefined) continue;
    if (logical.type === 'DATE' || logical.type === 'JSON') element.converted_type = logical.type;
    if (logical.type === 'DECIMAL') {
      element.converted_type = 'DECIMAL';
      element.scale = logical.scale;
      element.precision = logical.precision;
    }
  }
}

function columnType(node: SchemaTree): ColumnType {
  const { element, children } = node;
  if (children.length === 0) {
    const type = leafType(element);
    return element.repetition_type === 'REPEATED' ? listOf(type) : type;
  }
  const item = listItem(node);
  return item === undefined || item.children.length > 0
    ? { type: 'msgpack' }
    : listOf(leafType(item.element));
}

/** The item of a list in its three-level form, or in the older two-level one. */
function listItem(node: SchemaTree): SchemaTree | undefined {
  const isList = node.element.converted_type === 'LIST' || node.element.logical_type?.type === 'LIST';
  const repeated = node.children[0];
  if (!isList || node.children.length !== 1 || repeated === undefined) return undefined;
  return repeated.children.length === 1 ? repeated.children[0] : repeated;
}

function listOf(item: ColumnType): ColumnType {
  const isItem = LIST_ITEM_TYPES.includes(item.type as ListItemType);
  return isItem ? { type: 'list', item: item.type as ListItemType } : { type: 'msgpack' };
}

function leafType(element: SchemaElement): ColumnType {
  const annotated = logicalType(element) ?? convertedType(element);
  if (annotated !== undefined) return annotated;
  switch (element.type) {
    case 'BOOLEAN':
      return { type: 'bool' };
    case 'INT32':
      return { type: 'int32' };
    case 'INT64':
      return { type: 'int64' };
    case 'INT96':
      return { type: 'timestamp' };
    case 'FLOAT':
      return { type: 'float32' };
    case 'DOUBLE':
      return { type: 'float64' };
    default:
      return { type: 'bytes' };
  }
}

function logicalType({ logical_type: logical }: SchemaElement): ColumnType | undefined {
  switch (logical?.type) {
    case 'STRING':
    case 'ENUM':
      return { type: 'string' };
    case 'TIMESTAMP':
    case 'DATE':
      return { type: 'timestamp' };
    case 'UUID':
      return { type: 'uuid' };
    case 'FLOAT16':
      return { type: 'float32' };
    case 'DECIMAL':
      return { type: 'float64' };
    case 'JSON':
    case 'BSON':
    case 'VARIANT':
      return { type: 'msgpack' };
    case 'INTEGER':
      return integer(logical.bitWidth, logical.isSigned);
    default:
      return undefined;
  }
}

function convertedType({ converted_type: converted }: SchemaElement): ColumnType | undefined {
  switch (converted) {
    case 'UTF8':
    case 'ENUM':
      return { type: 'string' };
    case 'TIMESTAMP_MILLIS':
    case 'TIMESTAMP_MICROS':
    case 'DATE':
      return { type: 'timestamp' };
    case 'DECIMAL':
      return { type: 'float64' };
    case 'JSON':
    case 'BSON':
      return { type: 'msgpack' };
    default: {
      const width = /^(U?)INT_(\d+)$/.exec(converted ?? '');
      return width === null ? undefined : integer(Number(width[2]), width[1] === '');
    }
  }
}

/** The smallest signed type that holds the integer; of unsigned 64 bits, the one that holds most. */
function integer(bitWidth: number, isSigned: boolean): ColumnType {
  const bits = isSigned ? bitWidth : bitWidth * 2;
  return { type: bits <= 8 ? 'int8' : bits <= 16 ? 'int16' : bits <= 32 ? 'int32' : 'int64' };
}
