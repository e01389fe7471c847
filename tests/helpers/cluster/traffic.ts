import assert from "node:assert/strict";
import { Connection } from "../../../lib/client/connection.ts";
import { Condition } from "../../../lib/link/condition.ts";
import { type Link, writeAll } from "../../../lib/link/link.ts";
import { readExactly } from "../backend.ts";
import { assertSameBytes } from "../bytes.ts";
import { CuttingLink, FIRST_HANDSHAKE } from "../cutting_link.ts";
import { pattern, type Random } from "../random.ts";
import { tcp } from "../raw_client.ts";

/** How often a link that is lost by chance is not closed: the other end finds it open when the client comes again. */
const ABANDONED = 0.3;
/** The most bytes of a round, each way. */
const MOST = 10_000;
/** Milliseconds: it does not give up because the machine is busy with other things. */
const LONG = 3_600_000;
/** In version 1 whatever the network may hold has to fit. */
const CACHE = 2 ** 20;

export interface TrafficOptions {
  /** Where clients connect, before an echo. */
  address: string;
  sessions: number;
  random: Random;
  /** Each link breaks after so many bytes at the most, both ways together; missing: never. */
  cutWithin?: number;
  /** The versions of sessions, in turn. Default: both. */
  versions?: (1 | 2)[];
  /** Opens a connection, the session's next. Default: TCP. */
  dial?: (address: string, which: { session: number; connection: number }) => Promise<Link>;
}

/** A session that sends bytes to an echo, round by round, and checks those that come back. */
export class Talk {
  readonly version: 1 | 2;
  readonly number: number;
  resumes = 0;
  rounds = 0;
  /** What a round failed with. */
  fault: { code?: number; message?: string } | undefined;
  /** What it was closed with. */
  readonly closed: Promise<unknown>;
  readonly changed = new Condition();
  readonly #random: Random;
  readonly #links: CuttingLink[] = [];
  #connection: Connection | undefined;
  #position = 0;

  private constructor(number: number, version: 1 | 2, random: Random, closed: Promise<unknown>) {
    this.number = number;
    this.version = version;
    this.#random = random;
    this.closed = closed;
  }

  static async open(
    number: number,
    { address, random: from, cutWithin = Infinity, versions = [1, 2], dial = tcp }: TrafficOptions,
  ): Promise<Talk> {
    const random = from.fork();
    const version = versions[number % versions.length]!;
    const closed = Promise.withResolvers<unknown>();
    const talk = new Talk(number, version, random, closed.promise);
    talk.#connection = await Connection.open({
      dial: async () => talk.#hurt(await dial(address, { session: number, connection: talk.#links.length }), cutWithin),
      version,
      ...version === 1 && { cacheSize: CACHE, giveUpAfter: LONG },
      random: () => random.next(),
      onResumed: () => talk.resumes++,
      onClosed: closed.resolve,
    });
    return talk;
  }

  get connection(): Connection {
    return this.#connection!;
  }

  get id(): number {
    return this.connection.id;
  }

  /** Sends some bytes, and receives the same. Rejects when the session is lost, or a byte is wrong. */
  async round(): Promise<void> {
    const length = this.#random.int(1, MOST);
    const sent = pattern(this.#position, length, this.number);
    const [, got] = await Promise.all([
      writeAll(this.connection, sent.slice()),
      readExactly(this.connection, length),
    ]);
    assertSameBytes(got, sent, `session ${this.number} from ${this.#position} on`);
    this.#position += length;
    this.rounds++;
    this.changed.notify();
  }

  /** Round by round, until it is enough, or there is a fault. */
  async run(isEnough: () => boolean): Promise<void> {
    try {
      while (!isEnough()) await this.round();
    } catch (error) {
      this.fault = error as Error;
    }
    this.changed.notify();
  }

  /** Settles after so many rounds more, or at a fault. */
  async more(rounds: number): Promise<void> {
    for (const enough = this.rounds + rounds; this.rounds < enough && !this.fault;) await this.changed.wait();
  }

  async close(): Promise<void> {
    this.connection.close();
    await this.closed;
    for (const link of this.#links) link.bury();
  }

  #hurt(link: Link, cutWithin: number): Link {
    const least = this.#links.length === 0 ? FIRST_HANDSHAKE : 0;
    const after = cutWithin === Infinity ? Infinity : least + this.#random.int(1, cutWithin);
    this.#links.at(-2)?.bury();
    this.#links.push(new CuttingLink(link, after, this.#random.next() < ABANDONED));
    return this.#links.at(-1)!;
  }
}

/** Sessions that all talk to an echo, over links that are lost by chance. */
export class Traffic implements AsyncDisposable {
  readonly talks: readonly Talk[];
  readonly #random: Random;
  #isOver = false;
  #running: Promise<unknown> | undefined;

  private constructor(talks: Talk[], random: Random) {
    this.talks = talks;
    this.#random = random;
  }

  static async open(options: TrafficOptions): Promise<Traffic> {
    const talks = await Promise.all(Array.from({ length: options.sessions }, (_, i) => Talk.open(i, options)));
    return new Traffic(talks, options.random);
  }

  /** All talk from now on, until `end`. */
  begin(): void {
    this.#isOver = false;
    this.#running = Promise.all(this.talks.map((talk) => talk.run(() => this.#isOver)));
  }

  /** Settles when each of those, which must be without a fault, has done so many rounds more. */
  async more(rounds: number, talks: readonly Talk[] = this.talks): Promise<void> {
    await Promise.all(talks.map((talk) => talk.more(rounds)));
    this.assertWell(talks);
  }

  /** Settles when each has done its last round. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** Not one of those was lost, or had a byte that was wrong. */
  assertWell(talks: readonly Talk[] = this.talks): void {
    const faults = talks.filter(({ fault }) => fault)
      .map(({ number, version, fault }) => `session ${number}, version ${version}: ${fault!.message}`);
    assert.deepEqual(faults, [], `GOSCON_SEED=${this.#random.seed}`);
  }

  /** How often sessions of that version were resumed. */
  resumes(version: 1 | 2): number {
    return this.talks.filter((talk) => talk.version === version).reduce((sum, { resumes }) => sum + resumes, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.talks.map((talk) => talk.close()));
    await this.#running;
  }
}
