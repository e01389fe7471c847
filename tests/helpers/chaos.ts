import assert from "node:assert/strict";
import { Connection } from "../../lib/client/connection.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import { Backend, readExactly } from "./backend.ts";
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
  /** Bytes of each session, each way. */
  bytes: number;
  /** A connection is cut after so many bytes, both ways together, at the most. */
  cutWithin: number;
  random: Random;
}

/**
 * Moves the bytes of all sessions through relays that hurt, and checks each byte at both ends. Gives how often a session
 * was resumed, and how often each relay has cut.
 */
export async function runChaos(chaos: Chaos): Promise<{ resumes: number; cuts: number[] }> {
  const { address, backend, sessions, bytes, cutWithin, random } = chaos;
  await using hazards = Hazards.start(address, cutWithin, random);
  let resumes = 0;
  const serve = async (far: Link): Promise<number> => {
    const number = new DataView((await readExactly(far, 4)).buffer).getUint32(0);
    await exchange(far, random.fork(), { bytes, sent: 2 * number, received: 2 * number + 1 });
    return number;
  };
  const serving = (async () => {
    const served: Promise<number>[] = [];
    while (served.length < sessions) served.push(serve(await backend.accept()));
    return await Promise.all(served);
  })();
  const clients = Promise.all(Array.from({ length: sessions }, async (_, number) => {
    const own = random.fork();
    const { dial, bury } = hazards.dialer(0.4, own);
    const connection = await Connection.open({
      dial,
      dialect: chaos.dialect,
      cacheSize: 4 * 2 ** 20,
      random: () => own.next(),
      onResumed: () => resumes++,
      onClosed: bury,
    });
    const name = new Uint8Array(4);
    new DataView(name.buffer).setUint32(0, number);
    await writeAll(connection, name);
    await exchange(connection, own.fork(), { bytes, sent: 2 * number + 1, received: 2 * number });
    return connection;
  }));
  try {
    const [names, connections] = await Promise.all([serving, clients]);
    for (const connection of connections) connection.close();
    assert.deepEqual(names.toSorted((a, b) => a - b), Array.from({ length: sessions }, (_, i) => i));
  } catch (error) {
    throw new Error(`GOSCON_SEED=${random.seed} shows this again`, { cause: error });
  }
  return { resumes, cuts: hazards.cuts };
}

async function exchange(
  link: Link,
  random: Random,
  { bytes, sent, received }: { bytes: number; sent: number; received: number },
): Promise<void> {
  const send = async () => {
    for (let at = 0; at < bytes;) {
      const length = Math.min(random.int(1, 20_000), bytes - at);
      await writeAll(link, pattern(at, length, sent));
      at += length;
    }
  };
  const receive = async () => {
    const got = await readExactly(link, bytes);
    // Who neither reads nor writes does not learn that its link was lost, with bytes that the other end waits for.
    link.read(new Uint8Array(1)).catch(() => {});
    return got;
  };
  const [, got] = await Promise.all([send(), receive()]);
  assertSameBytes(got, pattern(0, bytes, received), `stream ${received}`);
}

/**
 * Streams `bytes` through one session, down and then up. Again and again the reading end stops until the writing one can
 * write no more; then the client comes again over another connection, while the old one stays open, and full. Gives how
 * much was under way at each such moment.
 */
export async function runStalls(
  { address, dialect, backend, bytes, random }: Omit<Chaos, "sessions" | "cutWithin">,
): Promise<number[]> {
  const { dial, bury } = dialer({ address, cutWithin: 2 ** 40, abandon: 1, random });
  // More than all that the sockets on the way can hold, of which there are twice as many when a thread hands a client on.
  const near = await Connection.open({ dial, dialect, cacheSize: 64 * 2 ** 20, random: () => 0, onClosed: bury });
  const far = await backend.accept();
  const cut = () => near.cut();
  try {
    const held = [
      ...await streamWithStalls(far, near, { bytes, cut, random }),
      ...await streamWithStalls(near, far, { bytes, cut, random }),
    ];
    near.close();
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
