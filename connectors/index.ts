/**
 * connectors/: ways into and out of a feature store, each an ordinary user of the client.
 *
 * files/    Parquet, CSV, JSON lines and Arrow as batches of columns, and the command `millrace import`
 * flights/  three million real flights, and the command `millrace demo`
 *
 * The commands are loaded by address (`files/command`, `flights/command`), so a server that imports nothing brings none of this.
 */
export { ConnectorError, type ConnectorErrorCode } from './connector-error.ts';
export {
  type ColumnType,
  formatColumnType,
  parseColumnType,
  type SourceColumn,
} from './files/column-type.ts';
export { convertColumn } from './files/convert.ts';
export { openSource } from './files/open-source.ts';
export {
  type ColumnBatch,
  SOURCE_START,
  type Source,
  type SourceFormat,
  type SourceOptions,
  type SourcePosition,
} from './files/source.ts';
