/** A whole scan of one of a soak's groups: the version that it has of each row, after the values of each were checked. */
import type { Millrace, ScanOptions } from '../client/index.ts';
import { type SoakRow, valueFault } from './soak-rows.ts';

/** By row: the version that came, 0 for none. `fault` is told of values that belong to no version, and of rows that come twice. */
export async function scanVersions(
  client: Millrace,
  group: { readonly number: number; readonly name: string },
  rows: number,
  options: ScanOptions,
  fault: (text: string) => void,
): Promise<Uint32Array> {
  const found = new Uint32Array(rows);
  for await (const batch of client.scan(group.name, options)) {
    const column = (name: string): { get(index: number): unknown } => batch.getChild(name)!;
    for (let index = 0; index < batch.numRows; index++) {
      const id = Number(column('id').get(index));
      const row: Omit<SoakRow, 'id'> = {
        version: column('version').get(index) as bigint,
        score: column('score').get(index) as number,
        vector: (column('vector').get(index) as { toArray(): Float32Array }).toArray(),
        text: column('text').get(index) as string,
      };
      if (found[id] !== 0) fault(`row ${id} comes twice`);
      const wrong = valueFault(group.number, id, row);
      if (wrong !== undefined) fault(wrong);
      found[id] = Number(row.version);
    }
  }
  return found;
}
