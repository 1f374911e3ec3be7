/** A plot of lines over time as an SVG text: axes with a few round ticks, one colour a line, a legend. */

export interface PlotLine {
  readonly name: string;
  readonly colour: string;
  /** One value at each of the plot's times. */
  readonly values: readonly number[];
}

export interface Plot {
  readonly title: string;
  readonly unit: string;
  /** Seconds, rising. */
  readonly times: readonly number[];
  readonly lines: readonly PlotLine[];
}

const WIDTH = 760;
const HEIGHT = 360;
const LEFT = 60;
const RIGHT = 20;
const TOP = 50;
const BOTTOM = 40;
const TICKS = 5;

export function plotSvg({ title, unit, times, lines }: Plot): string {
  const timeMax = Math.max(...times, 1);
  const valueMax = roundUp(Math.max(...lines.flatMap(({ values }) => values), 1e-9));
  const x = (time: number): number => LEFT + (time / timeMax) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / valueMax) * (HEIGHT - TOP - BOTTOM);
  const ticks = Array.from({ length: TICKS + 1 }, (_value, i) => i / TICKS);
  const rows = ticks.map((part) => {
    const at = y(part * valueMax).toFixed(1);
    return `<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="#ddd"/><text x="${LEFT - 6}" y="${at}" text-anchor="end" dy="4">${label(part * valueMax)}</text>`;
  });
  const columns = ticks.map(
    (part) =>
      `<text x="${x(part * timeMax).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label(part * timeMax)} s</text>`,
  );
  const paths = lines.map(({ colour, values }) => {
    const points = values.map((value, i) => `${x(times[i] as number).toFixed(1)} ${y(value).toFixed(1)}`);
    return `<path d="M${points.join('L')}" fill="none" stroke="${colour}" stroke-width="1.8"/>`;
  });
  const legend = lines.map(
    ({ name, colour }, i) =>
      `<text x="${LEFT + 10 + i * 170}" y="${TOP - 10}" fill="${colour}" font-weight="bold">${name}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title} (${unit})</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="20" font-size="14" font-weight="bold">${title} (${unit})</text>`,
    ...rows,
    ...columns,
    ...legend,
    ...paths,
    '</svg>',
    '',
  ].join('\n');
}

function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.ceil(value / power) * power;
}

function label(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(2);
}
