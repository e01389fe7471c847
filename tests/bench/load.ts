/** `deno task load`: see `USAGE`. */
import { parseArgs } from "node:util";
import type { Dialect } from "../../lib/scp/mod.ts";
import { type ProxyUnderLoad, startProxyUnderLoad } from "./proxy_under_load.ts";
import { type Result, WORKLOADS } from "./workloads.ts";

const USAGE = `Measures a proxy with goscon's own client, which shares the machine with it.

deno task load [options]
  --addr HOST:PORT     a running proxy, with hosts echo, source and sink; by default one is started, with such backends
  --dialect DIALECT    goscon (default) or plain
  --only LIST          of ${Object.keys(WORKLOADS).join(",")}
  --conns N            sessions at once (default 100; of down and up 4, of connect and resume 32, of idle 1000)
  --secs N             of each measurement (default 3)
  --workers N          threads of the proxy that is started (default 1)
  --json               a line of JSON for each
`;

const CONNS: Record<string, number> = { down: 4, up: 4, connect: 32, resume: 32, idle: 1000 };

interface Options {
  address: (dialect: Dialect) => string;
  dialect: Dialect;
  names: string[];
  conns: number | undefined;
  seconds: number;
  json: boolean;
}

async function measure(options: Options, proxy: ProxyUnderLoad | undefined): Promise<void> {
  const { dialect, seconds, json } = options;
  if (!json) console.log("work      conns        rate            a CPU-second   p50 ms   p99 ms");
  for (const name of options.names) {
    const conns = options.conns ?? CONNS[name] ?? 100;
    const before = await proxy?.usage();
    const measured = WORKLOADS[name]!({ address: options.address(dialect), dialect, conns, seconds });
    // In the middle, when all sessions are there.
    const held = name === "idle" && proxy ? await later(seconds * 1000, () => proxy.usage()) : undefined;
    const result = await measured;
    const cpu = proxy ? (await proxy.usage()).cpu - before!.cpu : 0;
    const kib = held ? (held.memory - before!.memory) / conns : undefined;
    if (json) console.log(JSON.stringify({ name, dialect, conns, ...result, cpu, ...(kib !== undefined && { kib }) }));
    else console.log(row(name, conns, result, { cpu, seconds, kib }));
  }
}

function row(
  name: string,
  conns: number,
  { rate, unit, p50, p99 }: Result,
  { cpu, seconds, kib }: { cpu: number; seconds: number; kib: number | undefined },
): string {
  const perCpu = kib !== undefined ? `${kib.toFixed(1)} KiB each` : cpu > 0 ? (rate * seconds / cpu).toFixed(0) : "-";
  const times = [p50, p99].map((ms) => (ms > 0 ? ms.toFixed(2) : "-").padStart(8)).join(" ");
  return `${name.padEnd(8)} ${String(conns).padStart(6)} ${rate.toFixed(0).padStart(11)} ${unit.padEnd(12)} ` +
    `${perCpu.padStart(15)} ${times}`;
}

async function later<T>(ms: number, run: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return await run();
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    addr: { type: "string" },
    dialect: { type: "string", default: "goscon" },
    only: { type: "string", default: Object.keys(WORKLOADS).join(",") },
    conns: { type: "string" },
    secs: { type: "string", default: "3" },
    workers: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    help: { type: "boolean" },
  },
});
const names = values.only.split(",");
const dialect = values.dialect === "plain" ? "plain" : "goscon";
if (values.help || !names.every((name) => name in WORKLOADS)) {
  console.error(USAGE);
  Deno.exit(values.help ? 0 : 2);
}
const proxy = values.addr === undefined ? await startProxyUnderLoad(Number(values.workers)) : undefined;
const address = (dialect: Dialect) => values.addr ?? proxy!.addresses[dialect];
const conns = values.conns === undefined ? undefined : Number(values.conns);
await measure({ address, dialect, names, conns, seconds: Number(values.secs), json: values.json }, proxy);
await proxy?.[Symbol.asyncDispose]();
Deno.exit();
