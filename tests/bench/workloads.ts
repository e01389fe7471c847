import { Connection } from "../../lib/client/connection.ts";
import { writeAll } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import { readExactly } from "../helpers/backend.ts";
import { tcp } from "../helpers/raw_client.ts";
import { sleep } from "../soak/sleep.ts";

/** What is measured. */
export interface Load {
  /** The proxy. Its backends `echo`, `source` and `sink` are named so. */
  address: string;
  /** The version of the protocol. */
  protocol: 1 | 2;
  dialect: Dialect;
  conns: number;
  seconds: number;
}

/** What came of it. */
export interface Result {
  /** Messages, or MiB, a second; of `idle`: sessions. */
  rate: number;
  unit: "messages/s" | "MiB/s" | "sessions";
  /** Milliseconds. */
  p50: number;
  p99: number;
}

const MESSAGE = 64;
const CHUNK = 65536;

/** Each keeps `conns` sessions busy until `seconds` are over. */
export const WORKLOADS: Record<string, (load: Load) => Promise<Result>> = {
  echo: (load) => messages(load, { isNew: false, cut: false }),
  connect: (load) => messages(load, { isNew: true, cut: false }),
  resume: (load) => messages(load, { isNew: false, cut: true }),
  down: (load) => flow(load, "source", readChunk),
  up: (load) => flow(load, "sink", writeChunk),
  idle,
};

function open({ address, protocol, dialect }: Load, target: string): Promise<Connection> {
  return Connection.open({ dial: () => tcp(address), version: protocol, dialect, target, random: () => 0 });
}

/** One checked echo after another; each over a new session, or after a cut, when it is told so. */
async function messages(load: Load, { isNew, cut }: { isNew: boolean; cut: boolean }): Promise<Result> {
  const latencies: number[] = [];
  const end = performance.now() + load.seconds * 1000;
  const echo = async (connection: Connection) => {
    await writeAll(connection, new Uint8Array(MESSAGE).fill(7));
    const bytes = await readExactly(connection, MESSAGE);
    if (bytes.length < MESSAGE || bytes.some((byte) => byte !== 7)) throw new Error("a wrong echo");
  };
  await Promise.all(Array.from({ length: load.conns }, async () => {
    let connection = await open(load, "echo");
    while (performance.now() < end) {
      const started = performance.now();
      if (isNew) {
        connection.close();
        connection = await open(load, "echo");
      }
      if (cut) {
        connection.cut();
        connection.retryNow(); // without the client's pause
      }
      await echo(connection);
      latencies.push(performance.now() - started);
    }
    connection.close();
  }));
  return { rate: latencies.length / load.seconds, unit: "messages/s", ...percentiles(latencies) };
}

async function flow(
  load: Load,
  target: string,
  move: (c: Connection, b: Uint8Array) => Promise<number>,
): Promise<Result> {
  let bytes = 0;
  const end = performance.now() + load.seconds * 1000;
  await Promise.all(Array.from({ length: load.conns }, async () => {
    const connection = await open(load, target);
    const buffer = new Uint8Array(CHUNK);
    while (performance.now() < end) bytes += await move(connection, buffer);
    connection.close();
  }));
  return { rate: bytes / 2 ** 20 / load.seconds, unit: "MiB/s", p50: 0, p99: 0 };
}

async function readChunk(connection: Connection, buffer: Uint8Array): Promise<number> {
  return await connection.read(buffer) ?? 0;
}

function writeChunk(connection: Connection, buffer: Uint8Array): Promise<number> {
  return connection.write(buffer);
}

/** Opens the sessions, one checked echo each, and holds them. */
async function idle(load: Load): Promise<Result> {
  const connections = await Promise.all(Array.from({ length: load.conns }, () => open(load, "echo")));
  await sleep(load.seconds * 1000);
  for (const connection of connections) connection.close();
  return { rate: connections.length, unit: "sessions", p50: 0, p99: 0 };
}

function percentiles(values: number[]): { p50: number; p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
