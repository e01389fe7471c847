import { OwnKey } from "../../lib/client/v2/resume_key.ts";
import { type Dialect, encodeRecord, request } from "../../lib/scp/mod.ts";
import { LEAST_WINDOW, requestWithOffer } from "../../lib/scp/v2/mod.ts";
import { writeAll } from "../../lib/link/link.ts";
import type { Random } from "../helpers/random.ts";
import { sleep } from "./sleep.ts";
import type { Weather } from "./weather.ts";

/** Milliseconds between two of them. */
const EVERY = 500;
/** The longest that one stays, in milliseconds. */
const LONGEST_STAY = 10_000;

/** Asks for a new session, of a version by chance. */
async function requestOf(
  session: { privateKey: bigint; target: string; flag: number; dialect: Dialect },
  random: Random,
): Promise<Uint8Array> {
  if (random.next() < 0.5) return request({ ...session, cacheSize: 1 }).record;
  const { publicKey } = await OwnKey.generate();
  const offer = { key: publicKey, window: LEAST_WINDOW };
  return encodeRecord(requestWithOffer({ ...session, cacheSize: 1, offer }).content);
}

/** Clients that leave in the handshake of a new session, again and again. */
export class Strays {
  readonly #options: { weather: Weather; random: Random; target: string };
  readonly #about = new Set<Promise<void>>();
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  /** Whether some leave when the request is whole: the proxy keeps such a session until `reuse_time` is over. */
  mayLeaveSessions = true;

  constructor(options: { weather: Weather; random: Random; target: string }) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Settles when the last one has left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#about);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const visit = this.#visit().catch(() => {}).finally(() => this.#about.delete(visit));
      this.#about.add(visit);
      await sleep(EVERY);
    }
  }

  async #visit(): Promise<void> {
    const { weather, random, target } = this.#options;
    const dialect = random.next() < 0.5 ? "goscon" : "plain";
    const record = await requestOf({ privateKey: 0x1234567890abcdefn, target, flag: 0, dialect }, random);
    const most = this.mayLeaveSessions ? record.length : record.length - 1;
    const way = random.next() < 0.5 ? "reset" : "closed";
    const length = Math.min(most, random.int(1, record.length + 3));
    const link = await weather.dial({ transport: "tcp", dialect }, random, {
      kind: "mid-handshake",
      way,
      after: length,
    });
    try {
      await writeAll(link, record.subarray(0, length - 1));
      await this.#stay(random.int(0, LONGEST_STAY));
      await writeAll(link, record.subarray(length - 1, length)); // after which it breaks
    } finally {
      link.close();
    }
  }

  async #stay(ms: number): Promise<void> {
    for (const until = performance.now() + ms; performance.now() < until && !this.#stopped;) await sleep(100);
  }
}
