import { Connection } from "../../lib/client/connection.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import { type Backend, readExactly } from "./backend.ts";
import { assertSameBytes } from "./bytes.ts";
import { pattern, type Random } from "./random.ts";

/** The most bytes that are written at once. */
const LONGEST = 5_000;
/** Bytes that may be on their way in one direction. */
const MOST = 20_000;

export interface TrafficOptions {
  /** How many, of either version in turn. */
  sessions: number;
  dialect: Dialect;
  backend: Backend;
  random: Random;
  /** Opens a connection of the session of that number. */
  dial: (number: number) => Promise<Link>;
}

/** One direction of a session: bytes of a pattern, from one end to the other, until it is told to stop. */
class Way {
  received = 0;
  #sent = 0;
  /** Settles when some have been received. */
  #moved = Promise.withResolvers<void>();
  #total = Infinity;
  readonly #stream: number;
  readonly #random: Random;
  readonly #onBytes: () => void;

  constructor(stream: number, random: Random, onBytes: () => void) {
    this.#stream = stream;
    this.#random = random;
    this.#onBytes = onBytes;
  }

  async send(link: Link, isOver: () => boolean): Promise<void> {
    while (this.#total === Infinity) {
      while (this.#sent - this.received > MOST) await this.#moved.promise;
      const length = this.#random.int(1, LONGEST);
      if (isOver()) this.#total = this.#sent + length;
      await writeAll(link, pattern(this.#sent, length, this.#stream));
      this.#sent += length;
    }
  }

  async receive(link: Link): Promise<void> {
    const buffer = new Uint8Array(LONGEST);
    while (this.received < this.#total) {
      const n = await link.read(buffer);
      if (n === null) throw new Error(`stream ${this.#stream} has ended`);
      assertSameBytes(buffer.subarray(0, n), pattern(this.received, n, this.#stream), `stream ${this.#stream}`);
      this.received += n;
      this.#moved.resolve();
      this.#moved = Promise.withResolvers();
      this.#onBytes();
    }
  }
}

/** Sessions over which bytes go both ways without an end, each of which is checked. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #ways: Way[] = [];
  readonly #connections: { connection: Connection; closed: Promise<void> }[] = [];
  readonly #running: Promise<unknown>[] = [];
  /** How often sessions were resumed. */
  resumes = 0;
  #isOver = false;
  #moved = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();

  private constructor(options: TrafficOptions) {
    this.#options = options;
    this.#failed.promise.catch(() => {});
  }

  /** Settles when all sessions have begun. */
  static async begin(options: TrafficOptions): Promise<Traffic> {
    const traffic = new Traffic(options);
    for (let number = 0; number < options.sessions; number++) await traffic.#open(number);
    return traffic;
  }

  /** Settles when so many bytes more have come, each way of each session. Rejects when a session has failed. */
  async more(bytes: number): Promise<void> {
    const wanted = this.#ways.map((way) => way.received + bytes);
    while (this.#ways.some((way, i) => way.received < wanted[i]!)) {
      await Promise.race([this.#moved.promise, this.#failed.promise]);
    }
  }

  /** Ends it. Settles when all that was written has come. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.race([Promise.all(this.#running), this.#failed.promise]);
    for (const { connection } of this.#connections) connection.close();
    await Promise.all(this.#connections.map(({ closed }) => closed));
  }

  async #open(number: number): Promise<void> {
    const { dialect, backend, random, dial } = this.#options;
    const version = number % 2 === 0 ? 2 : 1;
    const closed = Promise.withResolvers<void>();
    const near = await Connection.open({
      ...{ dialect, version, dial: () => dial(number), random: () => random.next() },
      ...(version === 1 && { cacheSize: 4 * 2 ** 20 }), // all that is on its way
      onResumed: () => this.resumes++,
      onClosed: () => closed.resolve(),
    });
    this.#connections.push({ connection: near, closed: closed.promise });
    await writeAll(near, new Uint8Array(1));
    const far = await backend.accept();
    await readExactly(far, 1);
    this.#run(near, far, 2 * number);
    this.#run(far, near, 2 * number + 1);
  }

  #run(from: Link, to: Link, stream: number): void {
    const way = new Way(stream, this.#options.random.fork(), () => {
      this.#moved.resolve();
      this.#moved = Promise.withResolvers();
    });
    this.#ways.push(way);
    for (const run of [way.send(from, () => this.#isOver), way.receive(to)]) {
      run.catch((error) => this.#failed.reject(error));
      this.#running.push(run);
    }
  }
}
