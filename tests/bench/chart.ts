/** `deno task chart`: measures echoes against connections, and draws lib/docs/performance.svg. */
import { join } from "node:path";
import { startProxyUnderLoad } from "./proxy_under_load.ts";
import { WORKLOADS } from "./workloads.ts";

const CONNS = [1, 5, 10, 20, 50, 100, 200, 500, 1000];
const SECONDS = 3;
const SVG = join(import.meta.dirname!, "..", "..", "lib", "docs", "performance.svg");

interface Point {
  conns: number;
  rate: number;
  p99: number;
}

/** Where the plot stands in the picture, in its units. */
const PLOT = { left: 70, right: 570, top: 40, bottom: 260 };

/** A scale from 1 to `most` by powers of ten, from `from` to `to`. */
function logScale(most: number, from: number, to: number): (value: number) => number {
  return (value) => from + (to - from) * Math.log10(Math.max(value, 1)) / Math.log10(most);
}

function svg(points: Point[]): string {
  const { left, right, top, bottom } = PLOT;
  const x = logScale(CONNS.at(-1)!, left, right);
  const most = 10 ** Math.ceil(Math.log10(Math.max(...points.flatMap(({ rate, p99 }) => [rate, p99 * 1000]))));
  const y = logScale(most, bottom, top);
  const line = (value: (point: Point) => number, color: string) =>
    `<polyline fill="none" stroke="${color}" stroke-width="2" points="${
      points.map((point) => `${x(point.conns).toFixed(1)},${y(value(point)).toFixed(1)}`).join(" ")
    }"/>`;
  const marks = CONNS.map((conns) =>
    `<text x="${x(conns)}" y="${bottom + 16}" text-anchor="middle">${conns}</text>` +
    `<line x1="${x(conns)}" x2="${x(conns)}" y1="${top}" y2="${bottom}" stroke="#8884" />`
  );
  const tens = Array.from({ length: Math.log10(most) + 1 }, (_, i) => 10 ** i).map((value) =>
    `<text x="${left - 8}" y="${y(value) + 4}" text-anchor="end">${value.toLocaleString("en")}</text>` +
    `<line x1="${left}" x2="${right}" y1="${y(value)}" y2="${y(value)}" stroke="#8884" />`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 310" font-family="sans-serif" font-size="11" fill="#888">
<text x="${left}" y="18" fill="#2563eb">messages a second</text>
<text x="${left + 130}" y="18" fill="#c0362c">p99 of a message's echo, microseconds</text>
${marks.join("\n")}
${tens.join("\n")}
${line(({ rate }) => rate, "#2563eb")}
${line(({ p99 }) => p99 * 1000, "#c0362c")}
<text x="${(left + right) / 2}" y="${
    bottom + 36
  }" text-anchor="middle">connections, each with one message of 64 bytes under way</text>
</svg>
`;
}

const proxy = await startProxyUnderLoad(1);
const points: Point[] = [];
for (const conns of CONNS) {
  const load = {
    address: proxy.addresses.goscon,
    protocol: 1 as const,
    dialect: "goscon" as const,
    conns,
    seconds: SECONDS,
  };
  const { rate, p99 } = await WORKLOADS.echo!(load);
  points.push({ conns, rate, p99 });
  console.log(`${conns} connections: ${rate.toFixed(0)} messages/s, p99 ${p99.toFixed(2)} ms`);
}
await proxy[Symbol.asyncDispose]();
await Deno.writeTextFile(SVG, svg(points));
console.log(SVG);
Deno.exit();
