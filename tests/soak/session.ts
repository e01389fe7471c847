import { Connection } from "../../lib/client/connection.ts";
import { reasonOf, writeAll } from "../../lib/link/link.ts";
import { type Dialect, ScpError } from "../../lib/scp/mod.ts";
import type { Random } from "../helpers/random.ts";
import { encodeHello, streamsOf } from "./hello.ts";
import { comesTrue, sleep } from "./sleep.ts";
import { Checker, HALF_OPEN, Sender } from "./stream.ts";
import type { Tally } from "./tally.ts";
import { SILENCE, type Transport } from "./transports.ts";
import type { Weather } from "./weather.ts";

/** How long a session may take to begin and to come to its end, in milliseconds. */
const PATIENCE = 90_000;

export interface SessionOptions {
  number: number;
  /** How its client comes. By KCP it comes once, and goes on until the end. */
  transport: Transport;
  dialect: Dialect;
  /** Of the protocol. */
  version: 1 | 2;
  target: string;
  /** It may be ended by others. */
  mayEnd: boolean;
  /** Of version 2: messages after which the backend ends its direction, and so the session comes to its end; 0: it does not. */
  messages: number;
  /** Bytes that the backend sends at once. */
  burst: number;
  /** In version 1: bytes that are kept to be sent again. Version 2 has its default. */
  cacheSize: number;
  weather: Weather;
  tally: Tally;
  random: Random;
}

/** The client's end of one session of the run. */
export class SoakSession {
  readonly number: number;
  readonly version: 1 | 2;
  readonly transport: Transport;
  /** It comes to its end by itself. */
  readonly isPassing: boolean;
  readonly #connection: Connection;
  readonly #closed: Promise<unknown>;
  readonly #resumes: () => number;
  readonly #random: Random;
  readonly #sender: Sender;
  readonly #checker: Checker;
  readonly #tally: Tally;
  #heard = performance.now();
  #over = false;
  /** Settles with why it ended; `undefined`: in order. */
  readonly ended: Promise<string | undefined>;

  private constructor(
    { connection, closed, resumes, lost }: Opened,
    { number, transport, version, messages, random, tally }: SessionOptions,
  ) {
    const { up, down } = streamsOf(number);
    this.number = number;
    this.version = version;
    this.transport = transport;
    this.isPassing = messages > 0;
    this.#connection = connection;
    this.#closed = closed;
    this.#resumes = resumes;
    this.#random = random.fork();
    this.#tally = tally;
    this.#checker = new Checker(down);
    this.#sender = new Sender(connection, up, { random: random.fork() });
    if (version === 2) this.#sender.done.then(() => connection.closeWrite()).catch(() => {}); // `ended` says so
    this.ended = Promise.race([this.#live(), ...(transport === "kcp" ? [lost] : [])]).finally(() => this.#over = true);
  }

  /** Settles when the session has begun, and the burst has come. Rejects when that does not come to be. */
  static async open(options: SessionOptions): Promise<SoakSession> {
    const { number, mayEnd, version, messages, random, burst, tally } = options;
    const opened = await openConnection(options);
    const seed = random.int(1, 2 ** 32 - 1);
    await writeAll(opened.connection, encodeHello({ number, mayEnd, version, messages, seed }));
    const session = new SoakSession(opened, options);
    const isThere = () => session.#over || session.#checker.checked >= burst;
    if (!await comesTrue(isThere, PATIENCE)) throw new Error("the backend's first bytes did not come");
    tally.opened[version]++;
    tally.transports[options.transport]++;
    return session;
  }

  /** Of the proxy. */
  get id(): number {
    return this.#connection.id;
  }

  /** How often it has gone on over another connection. */
  get resumes(): number {
    return this.#resumes();
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Milliseconds since the last byte came. */
  get silence(): number {
    return performance.now() - this.#heard;
  }

  /**
   * Brings it to its end in order, each end having every byte of the other: in version 2 by ending this end's direction, after which
   * the other one goes on for a while. Rejects when that does not come to be.
   */
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

  /** Receives all; in version 2 it goes on to send for a while then, and sees the session come to its end. Gives why it was lost. */
  async #live(): Promise<string | undefined> {
    const reason = await this.#receive();
    if (reason !== undefined || this.version === 1) return reason;
    await sleep(this.#random.int(0, HALF_OPEN));
    this.#sender.finish().catch(() => {});
    const error = await this.#closed;
    if (error !== undefined) return `${reasonOf(error)}, after both directions should have ended`;
    this.#tally.orderly++;
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
        if (this.#checker.finished && this.transport === "kcp" && this.version === 1) break; // nothing tells of the end
      }
    } catch (error) {
      return `${reasonOf(error)}, after ${this.#checker.checked} bytes`;
    }
    if (!this.#checker.finished) return `it was closed after ${this.#checker.checked} bytes, and more was to come`;
  }
}

interface Opened {
  connection: Connection;
  /** Settles with what it was closed with. */
  closed: Promise<unknown>;
  resumes: () => number;
  /** Settles when its connection is lost, and why. */
  lost: Promise<string>;
}

/** A handshake that is cut is begun anew. */
async function openConnection(options: SessionOptions): Promise<Opened> {
  const { transport, dialect, version, target, cacheSize, weather, tally, random, burst } = options;
  const { dial, opened } = weather.dialer({ transport, dialect, version }, random, burst);
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<unknown>();
  const { promise: lost, resolve: onLost } = Promise.withResolvers<string>();
  let resumes = 0;
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      const connection = await Connection.open({
        dial,
        dialect,
        version,
        target,
        ...(version === 1 && { cacheSize }),
        ...(transport === "kcp" && { silence: SILENCE, pingTimeout: SILENCE }),
        allowHalfOpen: true,
        random: () => random.next(),
        onResumed: () => {
          resumes++;
          tally.resumes[version]++;
        },
        onLost: (reason) => onLost(`its connection was lost: ${reason}`),
        onClosed,
      });
      opened();
      return { connection, closed, resumes: () => resumes, lost };
    } catch (error) {
      if (error instanceof ScpError || performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}
