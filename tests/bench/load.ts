/** `deno task load`: see `USAGE`. */
import { parseArgs } from "node:util";
import type { Dialect } from "../../lib/scp/mod.ts";
import { sleep } from "../soak/sleep.ts";
import { type ProxyUnderLoad, startProxyUnderLoad } from "./proxy_under_load.ts";
import { type Result, WORKLOADS } from "./workloads.ts";

const PROTOCOLS = [1, 2] as const;
type Protocol = (typeof PROTOCOLS)[number];

const USAGE = `Measures a proxy with goscon's own client, which shares the machine with it.

deno task load [options]
  --addr HOST:PORT     a running proxy, with hosts echo, source and sink; by default one is started for each protocol, with
                       such backends
  --protocol N         the version of the protocol: 1 or 2 (default both, one after another; the last column is then what
                       2 does a CPU-second, in parts of what 1 does)
  --dialect DIALECT    goscon (default) or plain
  --only LIST          of ${Object.keys(WORKLOADS).join(",")}; connect: what a new session costs; of idle the fifth
                       column is the memory of one, beside a third as many that were there before
  --conns N            sessions at once (default 100; of down and up 4, of connect and resume 32, of idle 1000)
  --secs N             of each measurement (default 3)
  --workers N          threads of the proxy that is started (default 1)
  --json               a line of JSON for each
`;

const CONNS: Record<string, number> = { down: 4, up: 4, connect: 32, resume: 32, idle: 1000 };

interface Options {
  /** A running proxy; without, each protocol has one of its own: what one leaves behind is not the other's. */
  address: string | undefined;
  protocols: readonly Protocol[];
  dialect: Dialect;
  names: string[];
  conns: number | undefined;
  seconds: number;
  workers: number;
  json: boolean;
}

/** What a measurement came to; `cpu`: seconds of the proxy, 0: not known; `kib`: of memory, for each session of `idle`. */
interface Measured extends Result {
  name: string;
  protocol: Protocol;
  dialect: Dialect;
  conns: number;
  cpu: number;
  kib?: number;
}

async function measureAll(options: Options): Promise<void> {
  const { address, protocols, names, workers, seconds, json } = options;
  await using stack = new AsyncDisposableStack();
  const proxies: { protocol: Protocol; proxy: ProxyUnderLoad | undefined }[] = [];
  for (const protocol of protocols) {
    proxies.push({ protocol, proxy: address ? undefined : stack.use(await startProxyUnderLoad(workers)) });
  }
  if (!json) console.log("work     protocol  conns        rate            a CPU-second   p50 ms   p99 ms   2 to 1");
  for (const name of names) {
    let first: Measured | undefined;
    for (const { protocol, proxy } of proxies) {
      const measured = await measure(name, protocol, proxy, options);
      console.log(json ? JSON.stringify(measured) : row(measured, first, seconds));
      first ??= measured;
    }
  }
}

async function measure(
  name: string,
  protocol: Protocol,
  warm: ProxyUnderLoad | undefined,
  options: Options,
): Promise<Measured> {
  const { dialect, seconds, workers } = options;
  const conns = options.conns ?? CONNS[name] ?? 100;
  // One that has worked has memory to spare, of which nothing tells how much the sessions use.
  await using fresh = warm && name === "idle" ? await startProxyUnderLoad(workers) : undefined;
  const proxy = fresh ?? warm;
  const load = { address: options.address ?? proxy!.addresses[dialect], protocol, dialect, conns, seconds };
  // The first ones bring along what is there once, such as code, and so much of it that it would count as memory of each.
  const firstOnes = fresh && WORKLOADS.idle!({ ...load, conns: Math.ceil(conns / 3), seconds: 2 * seconds + 1 });
  if (fresh) await sleep(seconds * 1000);
  const before = await proxy?.usage();
  const measured = WORKLOADS[name]!(load);
  // In the middle, when all sessions are there.
  if (fresh) await sleep(seconds * 1000);
  const held = await fresh?.usage();
  const result = await measured;
  await firstOnes;
  const cpu = proxy ? (await proxy.usage()).cpu - before!.cpu : 0;
  const memory = held && { kib: (held.memory - before!.memory) / conns };
  return { name, protocol, dialect, conns, ...result, cpu, ...memory };
}

/** `first`: the same work with the other protocol, if that was measured. */
function row(measured: Measured, first: Measured | undefined, seconds: number): string {
  const { name, protocol, conns, rate, unit, p50, p99, cpu, kib } = measured;
  const perCpu = kib !== undefined ? `${kib.toFixed(1)} KiB each` : cpu > 0 ? (rate * seconds / cpu).toFixed(0) : "-";
  const times = [p50, p99].map((ms) => (ms > 0 ? ms.toFixed(2) : "-").padStart(8)).join(" ");
  const ratio = first && kib === undefined && cpu > 0 && first.cpu > 0
    ? rate / cpu / (first.rate / first.cpu)
    : undefined;
  return `${name.padEnd(8)} ${String(protocol).padStart(8)} ${String(conns).padStart(6)} ` +
    `${rate.toFixed(0).padStart(11)} ${unit.padEnd(12)} ${perCpu.padStart(15)} ${times}` +
    (ratio === undefined ? "" : ` ${ratio.toFixed(2).padStart(8)}`);
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    addr: { type: "string" },
    protocol: { type: "string" },
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
const protocols = PROTOCOLS.filter((protocol) => values.protocol === undefined || values.protocol === String(protocol));
if (values.help || !names.every((name) => name in WORKLOADS) || protocols.length === 0) {
  console.error(USAGE);
  Deno.exit(values.help ? 0 : 2);
}
await measureAll({
  address: values.addr,
  ...{ protocols, dialect, names },
  conns: values.conns === undefined ? undefined : Number(values.conns),
  seconds: Number(values.secs),
  workers: Number(values.workers),
  json: values.json,
});
Deno.exit();
