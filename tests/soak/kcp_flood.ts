import { join } from "node:path";
import { connect, type ResumableConnection } from "../../lib/client/mod.ts";
import { Goscon } from "../helpers/goscon.ts";
import { pattern, Random } from "../helpers/random.ts";
import { sleep } from "./sleep.ts";
import { mib, usageOf } from "./usage.ts";

const USAGE =
  `Floods a listener of KCP with datagrams of forged addresses, while sessions over it go on, and others are begun, and says
whether those went on, and whether memory grew: first they are busy for 10 s. Linux, with Python.

Usage:
  deno task kcp-flood [datagrams a second] [seconds] [times each is sent]      default: 100,000, 30 and 1

GOSCON_SEED tries the chance of a run again. Exit codes: 0; 1 when a session was hurt, or memory grew; 2 for bad usage.
`;

const SESSIONS = 50;
/** Milliseconds between two echoes of a session. */
const PAUSE = 100;
/** Milliseconds for which sessions are busy first, so that memory is that of a proxy which has work, and bytes of their echoes then. */
const WARM_UP = 10_000;
const BUSY = 4000;
/** Milliseconds between two new sessions. */
const NEWCOMER = 2000;
/** Memory that it may need more than before the flood; and than that, if whoever asks for a session does so again. */
const GROWTH = 32 * 2 ** 20;
const GROWTH_OF_AGAIN = 192 * 2 ** 20;

/** A session that has its bytes come back, again and again. */
class Echoes {
  /** Of each since it is not busy, in milliseconds. */
  readonly times: number[] = [];
  isBusy = true;
  readonly #connection: ResumableConnection;
  resumes = 0;
  isOver = false;

  constructor(connection: ResumableConnection) {
    this.#connection = connection;
    connection.on("resumed", () => this.resumes++);
  }

  /** Until it is over; rejects when a byte is wrong, or the session is. */
  async run(): Promise<void> {
    const writer = this.#connection.writable.getWriter();
    const reader = this.#connection.readable.getReader();
    for (let at = 0; !this.isOver;) {
      const { isBusy } = this;
      const wanted = pattern(at, isBusy ? BUSY : 100);
      at += wanted.length;
      const begun = performance.now();
      await writer.write(wanted);
      for (let got = 0; got < wanted.length;) {
        const { value } = await reader.read();
        if (!value) throw new Error("the session has ended");
        if (value.some((byte, i) => byte !== wanted[got + i])) {
          throw new Error(`a wrong byte of the ${wanted.length} before ${at}`);
        }
        got += value.length;
      }
      if (isBusy) continue;
      this.times.push(performance.now() - begun);
      await sleep(PAUSE);
    }
    this.#connection.close();
  }
}

if (import.meta.main) {
  const [rate = 100_000, seconds = 30, times = 1] = Deno.args.map(Number);
  if (Deno.args.length > 3 || !(rate > 0) || !(seconds > 0) || !(times > 0)) {
    console.error(USAGE);
    Deno.exit(2);
  }
  Deno.exit(await run({ rate, seconds, times }, new Random()));
}

interface Flood {
  /** Datagrams a second. */
  rate: number;
  seconds: number;
  /** How often each is sent. */
  times: number;
}

/** The exit code. */
async function run(wanted: Flood, random: Random): Promise<number> {
  const { rate, seconds } = wanted;
  console.log(`${rate} datagrams a second, each ${wanted.times} times, for ${seconds} s, seed ${random.seed}`);
  await using goscon = await Goscon.start(
    `
    listen: [{kcp: "127.0.0.1:0"}]
    manager: 127.0.0.1:0
    hosts: [{addr: "builtin:echo"}]
    log: {level: info}
  `,
    { env: { DENO_V8_FLAGS: "--max-semi-space-size=8" } },
  ); // as it is started, or compiled
  const [address = ""] = goscon.addresses;
  const open = () => connect(`kcp://${address}`).then((connection) => new Echoes(connection));
  const echoes = await Promise.all(Array.from({ length: SESSIONS }, open));
  const faults: unknown[] = [];
  const running = echoes.map((each) => each.run().catch((error) => faults.push(error)));
  await sleep(WARM_UP);
  for (const each of echoes) each.isBusy = false;
  const memory = [usageOf(goscon.pid)!.memory];
  const flood = start(address, wanted, random);
  const newcomers = begin(address, seconds);
  await sleep(seconds * 500);
  memory.push(usageOf(goscon.pid)!.memory);
  const { success, stdout } = await flood.output();
  const sent = Number(new TextDecoder().decode(stdout));
  memory.push(usageOf(goscon.pid)!.memory);
  for (const each of echoes) each.isOver = true;
  await Promise.all(running);
  const begun = await newcomers;
  const { stats, gauges } = JSON.parse((await goscon.manager("GET", "/status")).text);
  const times = echoes.flatMap(({ times }) => times);
  console.log(`sent ${sent}, ${Math.round(sent / seconds)} a second`);
  console.log(`dropped by cause: ${JSON.stringify(stats.kcp.junk)}; conversations now: ${JSON.stringify(gauges.kcp)}`);
  console.log(`${times.length} echoes of ${SESSIONS} sessions: ${spread(times)}`);
  console.log(`${begun.times.length} new sessions of ${begun.asked} begun: ${spread(begun.times)}`);
  console.log(`resumes ${echoes.reduce((sum, { resumes }) => sum + resumes, 0)}, faults ${faults.length}`);
  console.log(
    `lines of the log ${goscon.events.length}; memory before, half way, after: ${memory.map(mib).join(", ")}`,
  );
  for (const fault of faults) console.error(fault);
  const isWell = success && faults.length === 0 &&
    Math.max(...memory) - memory[0]! < (wanted.times === 1 ? GROWTH : GROWTH_OF_AGAIN);
  console.log(isWell ? "PASSED" : "FAILED");
  return isWell ? 0 : 1;
}

/** New sessions during the flood, one after another: how many were asked for, and how long those took that have begun, in milliseconds. */
async function begin(address: string, seconds: number): Promise<{ asked: number; times: number[] }> {
  const asked = Math.floor(seconds * 1000 / NEWCOMER);
  const times: number[] = [];
  const one = async (i: number) => {
    await sleep(i * NEWCOMER);
    const begun = performance.now();
    const connection = await connect(`kcp://${address}`);
    times.push(performance.now() - begun);
    connection.close();
  };
  await Promise.allSettled(Array.from({ length: asked }, (_, i) => one(i)));
  return { asked, times };
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))]?.toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)}, most ${at(1)}`;
}

function start(address: string, { rate, seconds, times }: Flood, random: Random): Deno.ChildProcess {
  const port = address.slice(address.lastIndexOf(":") + 1);
  const args = [
    join(import.meta.dirname!, "flood.py"),
    port,
    String(rate),
    String(seconds),
    String(random.int(1, 2 ** 31)),
    String(times),
  ];
  return new Deno.Command("python3", { args, stdout: "piped", stderr: "inherit" }).spawn();
}
