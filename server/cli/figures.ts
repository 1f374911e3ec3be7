/** Numbers, sizes and tables as a person reads them in a terminal. Pure functions, English separators, no colour. */

const COUNT: Intl.NumberFormat = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 3,000,000 */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** 13.5 MB: decimal units, as disks and networks are sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}`;
}

/** 4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function formatUptime(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** 43 µs, 1.20 ms. */
export function formatLatency(micros: number): string {
  return micros < 1000 ? `${Math.round(micros)} µs` : `${(micros / 1000).toFixed(2)} ms`;
}

/** Rows of cells as lines with aligned columns, two spaces apart. Numbers align on the right where `right` says so. */
export function formatTable(
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const padded = (cell: string, i: number): string =>
    right.has(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!);
  return rows.map((row) => `${row.map(padded).join('  ').trimEnd()}\n`).join('');
}
