import { reasonOf } from "../../lib/link/link.ts";
import type { Random } from "../helpers/random.ts";
import type { Failures } from "./failures.ts";
import { SoakSession } from "./session.ts";
import type { Tally } from "./tally.ts";
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

/** All sessions of a run: half of each dialect. Each that ends although it should not is a failure. */
export class Population {
  readonly #options: PopulationOptions;
  readonly #sessions = new Set<SoakSession>();
  readonly #victims: SoakSession[] = [];
  #numbers = 0;
  #finishing = false;

  constructor(options: PopulationOptions) {
    this.#options = options;
  }

  /** How many there are. */
  get size(): number {
    return this.#sessions.size + this.#victims.length;
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
    for (const session of [...this.#sessions, ...this.#victims]) {
      if (session.silence < LONGEST_SILENCE) continue;
      this.#options.failures.add(`session ${session.number}: nothing came for ${Math.round(session.silence)} ms`);
      this.#drop(session);
    }
  }

  /** Brings all to their end in order. */
  async finish(): Promise<void> {
    this.#finishing = true;
    await Promise.all([...this.#sessions, ...this.#victims].map((session) => this.#finish(session)));
  }

  /** Leaves them all as they are. */
  abandon(): void {
    this.#finishing = true;
    for (const session of [...this.#sessions, ...this.#victims]) this.#drop(session);
  }

  async #finish(session: SoakSession): Promise<void> {
    try {
      await session.finish();
    } catch (error) {
      this.#options.failures.add(`session ${session.number}, at its end: ${reasonOf(error)}`);
    }
    this.#drop(session);
  }

  async #open(mayEnd: boolean): Promise<void> {
    const { targets, burst, weather, tally, failures, random } = this.#options;
    const number = ++this.#numbers;
    try {
      const session = await SoakSession.open({
        number,
        dialect: number % 2 ? "goscon" : "plain",
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
    this.#options.failures.add(`session ${session.number}, at the client: ${reason ?? "it ended by itself"}`);
    this.#drop(session);
  }

  #drop(session: SoakSession): void {
    this.#sessions.delete(session);
    const at = this.#victims.indexOf(session);
    if (at >= 0) this.#victims.splice(at, 1);
    session.abandon();
  }
}
