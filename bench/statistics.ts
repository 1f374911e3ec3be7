/**
 * The few numbers a benchmark says: medians, quantiles, and figures as a person reads them.
 */

/** The value below which `quantile` of the samples lie; the samples are sorted in place. */
export function quantileOf(samples: number[], quantile: number): number {
  if (samples.length === 0) return Number.NaN;
  samples.sort((a, b) => a - b);
  return samples[Math.min(samples.length - 1, Math.floor(quantile * samples.length))]!;
}

export function medianOf(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** 1234567 -> `1.23 M`, 45678 -> `45.7 k`: three digits, which is more than a run's noise. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (Math.abs(value) >= 1e3) return `${(value / 1e3).toPrecision(3)} k`;
  return value.toPrecision(3);
}

export function formatRatio(value: number): string {
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}×`;
}

/** ms of a latency or duration; µs below one. */
export function formatMs(ms: number): string {
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  return ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** The smallest and largest of the rounds, to show how far they scatter. */
export function formatRange(samples: readonly number[]): string {
  return `${formatCount(Math.min(...samples))} – ${formatCount(Math.max(...samples))}`;
}
