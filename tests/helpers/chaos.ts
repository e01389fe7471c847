import assert from "node:assert/strict";
import { Connection } from "../../lib/client/connection.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import { Backend, readExactly } from "./backend.ts";
import { assertSameBytes } from "./bytes.ts";
import { pattern, type Random } from "./random.ts";
import { tcp } from "./raw_client.ts";

/** A link that is lost after so many bytes, in one of the ways a network loses one. */
class ChaoticLink implements Link {
  readonly #link: Link;
  readonly #abandon: boolean;
  #left: number;

  /** `abandon`: the proxy is not told, and finds the old connection open, and full, when the client comes again. */
  constructor(link: Link, cutAfter: number, abandon: boolean) {
    this.#link = link;
    this.#left = cutAfter;
    this.#abandon = abandon;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    this.#check();
    const n = await this.#link.read(buffer.subarray(0, Math.max(1, this.#left)));
    this.#left -= n ?? 0;
    return n;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#check();
    const n = await this.#link.write(bytes.subarray(0, Math.max(1, this.#left)));
    this.#left -= n;
    return n;
  }

  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  close(): void {
    if (!this.#abandon) return this.#link.close();
    // It is open for as long as the next connection takes to come, and longer.
    setTimeout(() => this.#link.close(), 200);
  }

  #check(): void {
    if (this.#left > 0) return;
    this.close();
    throw new Error("cut by the test");
  }
}

/** What a run does. */
export interface Chaos {
  /** The proxy, whose one upstream is `backend`. */
  address: string;
  dialect: Dialect;
  backend: Backend;
  sessions: number;
  /** Bytes of each session, each way. */
  bytes: number;
  /** A connection is cut after so many bytes at the most. */
  cutWithin: number;
  random: Random;
}

/** Moves the bytes of all sessions over links that break, checks each byte at both ends, and gives how often it was cut. */
export async function runChaos(chaos: Chaos): Promise<{ resumes: number }> {
  const { backend, sessions, bytes, random } = chaos;
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
    const connection = await Connection.open({
      dial: dialer(chaos, own),
      dialect: chaos.dialect,
      cacheSize: 4 * 2 ** 20,
      random: () => own.next(),
      onResumed: () => resumes++,
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
  return { resumes };
}

/** The first connection of a session must live through its handshake: a session is begun once. */
function dialer({ address, cutWithin }: Chaos, random: Random): () => Promise<Link> {
  let first = true;
  return async () => {
    const link = await tcp(address);
    const least = first ? 100 : 0;
    first = false;
    return new ChaoticLink(link, least + random.int(1, cutWithin), random.next() < 0.4);
  };
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
  const [, got] = await Promise.all([send(), readExactly(link, bytes)]);
  assertSameBytes(got, pattern(0, bytes, received), `stream ${received}`);
}
