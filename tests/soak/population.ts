import { reasonOf } from "../../lib/link/link.ts";
import type { Random } from "../helpers/random.ts";
import type { Failures } from "./failures.ts";
import { SoakSession } from "./session.ts";
import type { Tally } from "./tally.ts";
import { anyTransport } from "./transports.ts";
import type { Weather } from "./weather.ts";

/** Sessions beside the others, which are there to be ended by the manager. */
const VICTIMS = 4;
/** Sessions that are begun at once. */
const AT_ONCE = 100;
/** Milliseconds without a byte after which a session is stuck: the backend sends one every few seconds. */
const LONGEST_SILENCE = 60_000;

export interface PopulationOptions {
  /** The backends' names. */
  targets: string[];
  /** Bytes that the backend sends first, and that each end keeps. */
  burst: number;
  weather: Weather;
  tally: Tally;
  failures: Failures;
  random: Random;
}

/** A part of the sessions of version 2 come to their end by themselves, after so many messages at the most. */
const PASSING = 0.1;
const MOST_MESSAGES = 30;

/** All sessions of a run: half of each dialect, and of each version by chance. Each that ends although it should not is a failure. */
export class Population {
  readonly #options: PopulationOptions;
  readonly #sessions = new Set<SoakSession>();
  readonly #victims: SoakSession[] = [];
  /** Those that are on their way to their end. */
  readonly #leaving = new Set<SoakSession>();
  /** Sessions that begin in the place of others that came to their end by themselves. */
  readonly #successors = new Set<Promise<void>>();
  #numbers = 0;
  #finishing = false;

  constructor(options: PopulationOptions) {
    this.#options = options;
  }

  /** How many there are. */
  get size(): number {
    return this.#all.length;
  }

  get #all(): SoakSession[] {
    return [...this.#sessions, ...this.#victims, ...this.#leaving];
  }

  /** Begins so many sessions, and the victims beside them. Settles when each is there, or has failed. */
  async settle(count: number): Promise<void> {
    let left = count;
    const settleSome = async () => {
      while (left-- > 0 && !this.#finishing) await this.#open(false);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, settleSome));
    for (let i = 0; i < VICTIMS; i++) await this.#open(true);
  }

  /** One that may be ended, after which `replace` is to be called; `undefined`: none is there now. */
  takeVictim(): SoakSession | undefined {
    return this.#victims.shift();
  }

  /** Begins a session in the place of a victim. */
  async replace(): Promise<void> {
    if (!this.#finishing) await this.#open(true);
  }

  /** Looks for sessions that are stuck. */
  look(): void {
    for (const session of this.#all) {
      if (session.silence < LONGEST_SILENCE) continue;
      this.#options.failures.add(`session ${session.number}: nothing came for ${Math.round(session.silence)} ms`);
      this.#drop(session);
    }
  }

  /**
   * One that is there and comes over another connection when it is told to: of version 2, and not by KCP, where all are to keep that on which
   * they began.
   */
  anyToMove(): SoakSession | undefined {
    return this.#anyOf(({ version, transport }) => version === 2 && transport !== "kcp");
  }

  #anyOf(fits: (session: SoakSession) => boolean): SoakSession | undefined {
    const all = [...this.#sessions].filter(fits);
    return all[this.#options.random.int(0, Math.max(0, all.length - 1))];
  }

  /** Brings one of version 2 to its end in order, and begins another in its place. */
  async renew(): Promise<void> {
    const session = this.#finishing ? undefined : this.#anyOf(({ version }) => version === 2);
    if (!session) return;
    this.#sessions.delete(session);
    this.#leaving.add(session);
    await this.#finish(session);
    if (!this.#finishing) await this.#open(false, 2);
  }

  /** Brings all to their end in order. */
  async finish(): Promise<void> {
    this.#finishing = true;
    await Promise.all(this.#successors);
    await Promise.all(this.#all.map((session) => this.#finish(session)));
  }

  /** Leaves them all as they are. */
  abandon(): void {
    this.#finishing = true;
    for (const session of this.#all) this.#drop(session);
  }

  async #finish(session: SoakSession): Promise<void> {
    try {
      await session.finish();
    } catch (error) {
      this.#options.failures.add(`session ${session.number}, at its end: ${reasonOf(error)}`);
    }
    this.#drop(session);
  }

  /** `wanted`: the version, which is by chance otherwise: only those of version 2 come to their end, and are to be as many as before. */
  async #open(mayEnd: boolean, wanted?: 2): Promise<void> {
    const { targets, burst, weather, tally, failures, random } = this.#options;
    const number = ++this.#numbers;
    const version = wanted ?? (random.next() < 0.5 ? 1 : 2);
    const isPassing = version === 2 && !mayEnd && random.next() < PASSING;
    try {
      const session = await SoakSession.open({
        number,
        // Over KCP the end in version 1 is not told.
        transport: mayEnd ? "tcp" : anyTransport(random),
        dialect: number % 2 ? "goscon" : "plain",
        version,
        messages: isPassing ? random.int(1, MOST_MESSAGES) : 0,
        target: targets[random.int(0, targets.length - 1)]!,
        mayEnd,
        burst,
        cacheSize: burst,
        weather,
        tally,
        random: random.fork(),
      });
      if (mayEnd) this.#victims.push(session);
      else this.#sessions.add(session);
      void this.#watch(session);
    } catch (error) {
      failures.add(`session ${number} could not be begun: ${reasonOf(error)}`);
    }
  }

  /** One that ends while it is here was lost. */
  async #watch(session: SoakSession): Promise<void> {
    const reason = await session.ended;
    const isHere = this.#sessions.has(session) || this.#victims.includes(session);
    if (!isHere || this.#finishing) return;
    if (reason === undefined && session.isPassing) {
      this.#drop(session);
      const successor = this.#open(false, 2).finally(() => this.#successors.delete(successor));
      this.#successors.add(successor);
      return;
    }
    this.#options.failures.add(`session ${session.number}, at the client: ${reason ?? "it ended by itself"}`);
    this.#drop(session);
  }

  #drop(session: SoakSession): void {
    this.#sessions.delete(session);
    this.#leaving.delete(session);
    const at = this.#victims.indexOf(session);
    if (at >= 0) this.#victims.splice(at, 1);
    session.abandon();
  }
}
