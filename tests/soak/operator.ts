import { reasonOf } from "../../lib/link/link.ts";
import { END, meaningOf } from "../../lib/scp/v2/mod.ts";
import { Semaphore } from "../../lib/semaphore.ts";
import type { Random } from "../helpers/random.ts";
import { type Addresses, type ConfigOptions, configText, type Variant, VARIANTS } from "./config.ts";
import type { Failures } from "./failures.ts";
import type { Manager } from "./manager.ts";
import type { Population } from "./population.ts";
import type { ProxyProcess } from "./proxy_process.ts";
import { comesTrue, sleep } from "./sleep.ts";
import type { Tally } from "./tally.ts";
import type { Weather } from "./weather.ts";

/** Milliseconds between two reloads, two questions, two moves, and two ends of sessions. */
const RELOAD_EVERY = 5000;
const ASK_EVERY = 1000;
const MOVE_EVERY = 1000;
const DELETE_EVERY = [3000, 9000] as const;
/** How long a session's client may take to know that it is ended, or to move, in milliseconds. */
const PATIENCE = 30_000;

const QUESTIONS = ["/metrics", "/sessions?limit=50", "/upstreams", "/status", "/sessions?limit=0&state=detached"];

export interface OperatorOptions {
  addresses: Addresses;
  config: ConfigOptions;
  /** Milliseconds between two upgrades; `undefined`: there are none. */
  upgradeEvery: number | undefined;
  configFile: string;
  manager: Manager;
  proxy: ProxyProcess;
  population: Population;
  weather: Weather;
  tally: Tally;
  failures: Failures;
  random: Random;
}

/**
 * Whoever operates the proxy: reloads, upgrades, looks, has clients move, and ends sessions, again and again. What is refused is a failure.
 * What changes something is asked one after another: a process that is being replaced may have let go of what it is asked for.
 */
export class Operator {
  readonly #options: OperatorOptions;
  readonly #changes = new Semaphore(1);
  #work: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  start(): void {
    const { random, upgradeEvery } = this.#options;
    this.#work = Promise.all([
      ...upgradeEvery === undefined ? [] : [this.#again(() => upgradeEvery, () => this.#upgrade())],
      this.#again(() => RELOAD_EVERY, (turn) => this.#reload(VARIANTS[(turn + 1) % VARIANTS.length]!)),
      this.#again(() => ASK_EVERY, (turn) => this.#ask(QUESTIONS[turn % QUESTIONS.length]!)),
      this.#again(() => MOVE_EVERY, () => this.#moveOne()),
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
    const { addresses, config, configFile, manager, weather, tally } = this.#options;
    weather.extra = undefined;
    await Deno.writeTextFile(configFile, configText(variant, addresses, config));
    await this.#changes.run(() => manager.ask("POST", "/reload"));
    if (variant === "second") weather.extra = addresses.extra;
    tally.reloads++;
  }

  async #upgrade(): Promise<void> {
    const { manager, proxy, tally } = this.#options;
    const { pid, p50_ms, p99_ms, longest_ms } = await this.#changes.run(() => manager.upgrade());
    proxy.replacedBy(pid);
    tally.upgrades++;
    const { standStill } = tally;
    for (const [key, ms] of [["p50", p50_ms], ["p99", p99_ms], ["longest", longest_ms]] as const) {
      standStill[key] = Math.max(standStill[key], ms);
    }
  }

  async #ask(path: string): Promise<void> {
    await this.#options.manager.ask("GET", path);
    this.#options.tally.adminCalls++;
  }

  async #moveOne(): Promise<void> {
    const { manager, population, tally } = this.#options;
    const session = population.anyToMove();
    const before = session?.resumes ?? 0;
    if (!session || !await this.#changes.run(() => manager.move(session.id))) return;
    const hasMoved = () => session.isOver || session.resumes > before;
    if (!await comesTrue(hasMoved, PATIENCE)) {
      throw new Error(`session ${session.number} was told to move, and did not`);
    }
    tally.moved++;
  }

  async #endOne(): Promise<void> {
    const { manager, population, tally } = this.#options;
    const victim = population.takeVictim();
    if (!victim) return;
    try {
      await this.#changes.run(() => manager.ask("DELETE", `/sessions/${victim.id}`));
      tally.deleted++;
      const late = sleep(PATIENCE).then(() => "late");
      const ended = await Promise.race([victim.ended, late]);
      if (ended === "late") throw new Error(`session ${victim.number} was deleted, and lives on`);
      // Version 2 has a word for it.
      const isTold = victim.version === 1 || ended?.includes(meaningOf(END.operator));
      if (!isTold) throw new Error(`session ${victim.number} was deleted, and its client was told: ${ended}`);
    } finally {
      victim.abandon();
      await population.replace();
    }
  }
}
