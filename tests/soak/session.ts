import { Connection } from "../../lib/client/connection.ts";
import { reasonOf, writeAll } from "../../lib/link/link.ts";
import { type Dialect, ScpError } from "../../lib/scp/mod.ts";
import type { Random } from "../helpers/random.ts";
import { encodeHello, streamsOf } from "./hello.ts";
import { comesTrue, sleep } from "./sleep.ts";
import { Checker, Sender } from "./stream.ts";
import type { Tally } from "./tally.ts";
import type { Weather } from "./weather.ts";

/** How long a session may take to begin and to come to its end, in milliseconds. */
const PATIENCE = 90_000;

export interface SessionOptions {
  number: number;
  dialect: Dialect;
  target: string;
  /** It may be ended by others. */
  mayEnd: boolean;
  /** Bytes that the backend sends at once. */
  burst: number;
  /** Bytes that are kept to be sent again. */
  cacheSize: number;
  weather: Weather;
  tally: Tally;
  random: Random;
}

/** The client's end of one session of the run. */
export class SoakSession {
  readonly number: number;
  readonly #connection: Connection;
  readonly #sender: Sender;
  readonly #checker: Checker;
  readonly #tally: Tally;
  #heard = performance.now();
  #over = false;
  /** Settles with why it ended; `undefined`: in order. */
  readonly ended: Promise<string | undefined>;

  private constructor(connection: Connection, { number, random, tally }: SessionOptions) {
    const { up, down } = streamsOf(number);
    this.number = number;
    this.#connection = connection;
    this.#tally = tally;
    this.#checker = new Checker(down);
    this.#sender = new Sender(connection, up, { random: random.fork() });
    this.ended = this.#receive().finally(() => this.#over = true);
  }

  /** Settles when the session has begun, and the burst has come. Rejects when that does not come to be. */
  static async open(options: SessionOptions): Promise<SoakSession> {
    const { number, mayEnd, random, burst, tally } = options;
    const connection = await openConnection(options);
    await writeAll(connection, encodeHello({ number, mayEnd, seed: random.int(1, 2 ** 32 - 1) }));
    const session = new SoakSession(connection, options);
    const isThere = () => session.#over || session.#checker.checked >= burst;
    if (!await comesTrue(isThere, PATIENCE)) throw new Error("the backend's first bytes did not come");
    tally.opened++;
    return session;
  }

  /** Of the proxy. */
  get id(): number {
    return this.#connection.id;
  }

  /** Milliseconds since the last byte came. */
  get silence(): number {
    return performance.now() - this.#heard;
  }

  /** Brings it to its end in order, each end having every byte of the other. Rejects when that does not come to be. */
  async finish(): Promise<void> {
    const late = sleep(PATIENCE).then(() => `it did not end within ${PATIENCE} ms`);
    // It ends by itself, too: whoever holds it says so.
    this.#sender.finish().catch(() => {});
    const reason = await Promise.race([this.ended, late]);
    if (reason !== undefined) throw new Error(reason);
  }

  /** Leaves it, as a client that is switched off does. */
  abandon(): void {
    this.#sender.finish().catch(() => {});
    this.#connection.close();
  }

  async #receive(): Promise<string | undefined> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (;;) {
        const n = await this.#connection.read(buffer);
        if (n === null) break;
        this.#checker.take(buffer.subarray(0, n));
        this.#tally.down += n;
        this.#heard = performance.now();
      }
    } catch (error) {
      return `${reasonOf(error)}, after ${this.#checker.checked} bytes`;
    }
    if (!this.#checker.finished) return `it was closed after ${this.#checker.checked} bytes, and more was to come`;
  }
}

/** A handshake that is cut is begun anew. */
async function openConnection(options: SessionOptions): Promise<Connection> {
  const { dialect, target, cacheSize, weather, tally, random, burst } = options;
  const { dial, opened } = weather.dialer(dialect, random, burst);
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      const connection = await Connection.open({
        dial,
        dialect,
        target,
        cacheSize,
        random: () => random.next(),
        onResumed: () => tally.resumes++,
      });
      opened();
      return connection;
    } catch (error) {
      if (error instanceof ScpError || performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}
