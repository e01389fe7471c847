import assert from "node:assert/strict";
import { Connection } from "../../lib/client/connection.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import { Backend, readExactly, readToEnd } from "./backend.ts";
import { assertSameBytes } from "./bytes.ts";
import { dialer } from "./cutting_link.ts";
import { Hazards } from "./hazards.ts";
import { pattern, type Random } from "./random.ts";
import { stalled } from "./turns.ts";

/** What a run does. */
export interface Chaos {
  /** The proxy, whose one upstream is `backend`. */
  address: string;
  dialect: Dialect;
  backend: Backend;
  sessions: number;
  /** Bytes of each session, each way; fewer in a direction that ends early. */
  bytes: number;
  /** A connection is cut after so many bytes, both ways together, at the most. */
  cutWithin: number;
  /** See `ConnectionOptions`: with 0 no client of version 1 comes over another connection because it has been idle for long. */
  silence?: number;
  random: Random;
}

/** What goes over one session. */
interface Plan {
  version: 1 | 2;
  /** Bytes from the client, and to it. */
  up: number;
  down: number;
  /** Each end ends its direction when it has sent them, and reads to the end of the other: as only version 2 can. */
  ends: boolean;
}

/** Half of the sessions are of version 2; of these one direction of every other one ends early. */
function planOf(number: number, bytes: number, random: Random): Plan {
  const version = number % 2 === 0 ? 2 : 1;
  const full = { version, up: bytes, down: bytes, ends: number % 4 === 0 } as const;
  if (!full.ends) return full;
  return { ...full, [random.next() < 0.5 ? "up" : "down"]: random.int(0, bytes) };
}

/**
 * Moves the bytes of all sessions, of both versions, through relays that hurt, and checks each byte at both ends, and each end in
 * order. Gives how often sessions of each version were resumed, and how often each relay has cut.
 */
export async function runChaos(chaos: Chaos): Promise<{ resumes: Record<1 | 2, number>; cuts: number[] }> {
  const { address, backend, sessions, bytes, cutWithin, random } = chaos;
  await using hazards = Hazards.start(address, cutWithin, random);
  const resumes = { 1: 0, 2: 0 };
  const plans = Array.from({ length: sessions }, (_, number) => planOf(number, bytes, random));
  const serving = serveAll(backend, plans, random);
  const clients = Promise.all(plans.map((plan, number) => {
    const own = random.fork();
    const onResumed = () => resumes[plan.version]++;
    return runClient(number, plan, { ...chaos, ...hazards.dialer(0.4, own), random: own, onResumed });
  }));
  try {
    const [names, closings] = await Promise.all([serving, clients]);
    await Promise.all(closings.map((close) => close()));
    assert.deepEqual(names.toSorted((a, b) => a - b), plans.map((_, number) => number));
  } catch (error) {
    throw new Error(`GOSCON_SEED=${random.seed} shows this again`, { cause: error });
  }
  return { resumes, cuts: hazards.cuts };
}

/** The backend's end of all sessions: their numbers, when every byte has come. */
async function serveAll(backend: Backend, plans: Plan[], random: Random): Promise<number[]> {
  const serve = async (far: Link): Promise<number> => {
    const number = new DataView((await readExactly(far, 4)).buffer).getUint32(0);
    const { up, down, ends } = plans[number]!;
    await exchange(far, random.fork(), {
      ends,
      sent: { stream: 2 * number, bytes: down },
      received: { stream: 2 * number + 1, bytes: up },
    });
    return number;
  };
  const served: Promise<number>[] = [];
  while (served.length < plans.length) served.push(serve(await backend.accept()));
  return await Promise.all(served);
}

/** The client's end of a session. Gives how to close it, when every byte has come; one that ends in order has been. */
async function runClient(
  number: number,
  { version, up, down, ends }: Plan,
  { dial, bury, dialect, silence, random, onResumed }:
    & Pick<Chaos, "dialect" | "silence" | "random">
    & ReturnType<Hazards["dialer"]>
    & {
      onResumed: () => void;
    },
): Promise<() => Promise<unknown>> {
  const closed = Promise.withResolvers<unknown>();
  const connection = await Connection.open({
    ...{ dial, dialect, version, onResumed },
    ...(silence !== undefined && { silence }),
    allowHalfOpen: ends,
    ...cacheOf(version, 4 * 2 ** 20),
    random: () => random.next(),
    onClosed: (error) => {
      bury();
      closed.resolve(error);
    },
  });
  const name = new Uint8Array(4);
  new DataView(name.buffer).setUint32(0, number);
  await writeAll(connection, name);
  await exchange(connection, random.fork(), {
    ends,
    sent: { stream: 2 * number + 1, bytes: up },
    received: { stream: 2 * number, bytes: down },
  });
  if (ends) assert.equal(await closed.promise, undefined, `session ${number} did not end in order`);
  return () => {
    connection.close();
    return closed.promise;
  };
}

/** The resend cache of a client, which in version 1 has to hold whatever is on its way. Version 2 needs no more than its default. */
function cacheOf(version: 1 | 2, cacheSize: number): { cacheSize?: number } {
  return version === 1 ? { cacheSize } : {};
}

/** One direction of a session. */
interface Way {
  /** Of the pattern. */
  stream: number;
  bytes: number;
}

async function exchange(
  link: Link,
  random: Random,
  { sent, received, ends }: { sent: Way; received: Way; ends: boolean },
): Promise<void> {
  const send = async () => {
    for (let at = 0; at < sent.bytes;) {
      const length = Math.min(random.int(1, 20_000), sent.bytes - at);
      await writeAll(link, pattern(at, length, sent.stream));
      at += length;
    }
    if (ends) await link.closeWrite();
  };
  const receive = async () => {
    if (ends) return await readToEnd(link);
    const got = await readExactly(link, received.bytes);
    // In version 1 who neither reads nor writes does not learn that its link was lost, with bytes that the other end waits for.
    link.read(new Uint8Array(1)).catch(() => {});
    return got;
  };
  const [, got] = await Promise.all([send(), receive()]);
  assertSameBytes(got, pattern(0, received.bytes, received.stream), `stream ${received.stream}`);
}

/**
 * Streams `bytes` through one session, down and then up. Again and again the reading end stops until the writing one can
 * write no more; then the client comes again over another connection, while the old one stays open, and full. Gives how
 * much was under way at each such moment.
 */
export async function runStalls(
  { address, dialect, version, backend, bytes, random }: Omit<Chaos, "sessions" | "cutWithin"> & { version: 1 | 2 },
): Promise<number[]> {
  const { dial, bury } = dialer({ address, cutWithin: 2 ** 40, abandon: 1, random });
  const closed = Promise.withResolvers<void>();
  const near = await Connection.open({
    ...{ dial, dialect, version },
    // More than all that the sockets on the way can hold, of which there are twice as many when a thread hands a client on.
    ...cacheOf(version, 64 * 2 ** 20),
    random: () => 0,
    onClosed: () => {
      bury();
      closed.resolve();
    },
  });
  const far = await backend.accept();
  const cut = () => near.cut();
  try {
    const held = [
      ...await streamWithStalls(far, near, { bytes, cut, random }),
      ...await streamWithStalls(near, far, { bytes, cut, random }),
    ];
    near.close();
    await closed.promise;
    return held;
  } catch (error) {
    throw new Error(`GOSCON_SEED=${random.seed} shows this again`, { cause: error });
  }
}

/** How many bytes were under way at each stall. */
async function streamWithStalls(
  from: Link,
  to: Link,
  { bytes, cut, random }: { bytes: number; cut: () => void; random: Random },
): Promise<number[]> {
  let written = 0;
  const write = async () => {
    for (let length = 0; written < bytes; written += length) {
      length = Math.min(50_000, bytes - written);
      await writeAll(from, pattern(written, length));
    }
  };
  const held: number[] = [];
  const read = async () => {
    for (let at = 0; at < bytes;) {
      await stalled(() => written);
      if (written < bytes) {
        held.push(written - at);
        await cut();
      }
      const length = Math.min(random.int(bytes / 8, bytes / 4), bytes - at);
      assertSameBytes(await readExactly(to, length), pattern(at, length));
      at += length;
    }
  };
  await Promise.all([write(), read()]);
  return held;
}
