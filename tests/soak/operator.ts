import { reasonOf } from "../../lib/link/link.ts";
import type { Random } from "../helpers/random.ts";
import { type Addresses, configText, type Variant, VARIANTS } from "./config.ts";
import type { Failures } from "./failures.ts";
import type { Manager } from "./manager.ts";
import type { Population } from "./population.ts";
import { sleep } from "./sleep.ts";
import type { Tally } from "./tally.ts";
import type { Weather } from "./weather.ts";

/** Milliseconds between two reloads, two questions, and two ends of sessions. */
const RELOAD_EVERY = 5000;
const ASK_EVERY = 1000;
const DELETE_EVERY = [3000, 9000] as const;
/** How long an ended session's client may take to know it, in milliseconds. */
const PATIENCE = 30_000;

const QUESTIONS = ["/metrics", "/sessions?limit=50", "/upstreams", "/status", "/sessions?limit=0&state=detached"];

export interface OperatorOptions {
  addresses: Addresses;
  workers: number | undefined;
  configFile: string;
  manager: Manager;
  population: Population;
  weather: Weather;
  tally: Tally;
  failures: Failures;
  random: Random;
}

/** Whoever operates the proxy: reloads, looks, and ends sessions, again and again. What is refused is a failure. */
export class Operator {
  readonly #options: OperatorOptions;
  #work: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  start(): void {
    const { random } = this.#options;
    this.#work = Promise.all([
      this.#again(() => RELOAD_EVERY, (turn) => this.#reload(VARIANTS[(turn + 1) % VARIANTS.length]!)),
      this.#again(() => ASK_EVERY, (turn) => this.#ask(QUESTIONS[turn % QUESTIONS.length]!)),
      this.#again(() => random.int(...DELETE_EVERY), () => this.#endOne()),
    ]);
  }

  /** Settles when what is under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #again(pause: () => number, work: (turn: number) => Promise<void>): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const next = performance.now() + pause();
      while (performance.now() < next && !this.#stopped) await sleep(Math.min(200, next - performance.now()));
      if (this.#stopped) return;
      await work(turn).catch((error) => this.#options.failures.add(`the manager: ${reasonOf(error)}`));
    }
  }

  async #reload(variant: Variant): Promise<void> {
    const { addresses, workers, configFile, manager, weather, tally } = this.#options;
    const always = [addresses.goscon];
    weather.doors.goscon = always;
    await Deno.writeTextFile(configFile, configText(variant, addresses, workers));
    await manager.ask("POST", "/reload");
    if (variant === "second") weather.doors.goscon = [...always, addresses.extra];
    tally.reloads++;
  }

  async #ask(path: string): Promise<void> {
    await this.#options.manager.ask("GET", path);
    this.#options.tally.adminCalls++;
  }

  async #endOne(): Promise<void> {
    const { manager, population, tally } = this.#options;
    const victim = population.takeVictim();
    if (!victim) return;
    try {
      await manager.ask("DELETE", `/sessions/${victim.id}`);
      tally.deleted++;
      const late = sleep(PATIENCE).then(() => "late");
      const ended = await Promise.race([victim.ended.then(() => "ended"), late]);
      if (ended === "late") throw new Error(`session ${victim.number} was deleted, and lives on`);
    } finally {
      victim.abandon();
      await population.replace();
    }
  }
}
