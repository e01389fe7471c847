import { reasonOf } from "../../../link/link.ts";
import { sleep } from "../../../link/sleep.ts";
import type { Log } from "../../../log.ts";
import { within } from "../../../within.ts";
import type { Claim, Claimant, Discovery, Found } from "./discovery.ts";
import { Kept } from "./kept.ts";
import { anyEpoch, type Memory } from "./own_slot.ts";
import { RedisStore, type StoreOptions } from "./redis_store.ts";

/** The longest from one look at Redis to the next, and the first and the longest pause while it is away, in milliseconds. */
const PAUSE = 1000;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** Milliseconds that the end waits for Redis. */
const FAREWELL = 1000;

export interface RedisOptions extends StoreOptions, Memory {
  /** Milliseconds for which who is no more in Redis is kept: a session may live so long there. */
  keep: number;
  /** Milliseconds, from any start. */
  now: () => number;
  log: Log;
}

/**
 * Nodes lease their slots from Redis, and find each other there. It is to be available first: who cannot renew goes on, with all that it
 * knew, and has lost its slot only when Redis shows another instance there. So without Redis only those wait that have no slot yet.
 */
export class RedisDiscovery implements Discovery {
  isPassedOn = false;
  readonly #options: RedisOptions;
  readonly #store: RedisStore;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #kept: Kept | undefined;
  /** Who wants a slot or has one; `first` is settled with the first one. */
  #claimant: Claimant | undefined;
  readonly #first = Promise.withResolvers<Claim>();
  #isFirst = true;
  #own: Claim | undefined;
  #lost: Claim[] = [];
  /** When slots are to be renewed, and everything is to be looked at, whether or not anything seems to have changed. */
  #renewal = 0;
  #fullLook = 0;
  /** Why there is no slot, as told last. */
  #told: string | undefined;

  constructor(options: RedisOptions) {
    this.#options = options;
    this.#store = new RedisStore(options);
    this.#first.promise.catch(() => {}); // whoever claims has it
  }

  claim(claimant: Claimant): Promise<Claim> {
    this.#claimant = claimant;
    this.#running ??= this.#run();
    return this.#first.promise;
  }

  goOn(claimant: Claimant, own: Claim | undefined, lost: readonly Claim[]): void {
    this.#claimant = claimant;
    this.#isFirst = false;
    this.#own = own;
    this.#lost = [...lost];
    this.#running ??= this.#run();
  }

  watch(onChange: (found: readonly Found[]) => void, known?: readonly Found[]): void {
    const { keep, now } = this.#options;
    this.#kept = new Kept({ keep, now, onChange });
    if (known) this.#kept.see(known);
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#first.reject(new Error("the discovery is closed"));
    // What is asked already may take a slot, which is to be given back.
    await within(FAREWELL, this.#running);
    const [own, claimant] = [this.#own, this.#claimant];
    if (own && claimant && !this.isPassedOn) await within(FAREWELL, this.#store.release(claimant, own)).catch(() => {}); // it runs out
    this.#store.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { lease, random, log } = this.#options;
    const { signal } = this.#abort;
    for (let failures = 0; !signal.aborted;) {
      let pause = Math.min(PAUSE, lease / 3);
      try {
        await this.#round();
        if (failures > 0) log.info("redis is back");
        failures = 0;
      } catch (error) {
        if (failures === 0 && !signal.aborted) log.warning("redis is away", { reason: reasonOf(error) });
        pause = Math.min(LONGEST_PAUSE, lease / 3, FIRST_PAUSE * 2 ** failures++) * (1 + random()) / 2;
      }
      await sleep(pause, signal);
    }
  }

  async #round(): Promise<void> {
    const { lease, now } = this.#options;
    const claimant = this.#claimant;
    if (claimant) {
      if (now() >= this.#renewal) await this.#renew(claimant);
      if (!this.#own && !this.isPassedOn) await this.#take(claimant);
    }
    if (!this.#kept || this.#abort.signal.aborted) return;
    const isForced = now() >= this.#fullLook;
    const found = await this.#store.look(isForced);
    if (isForced) this.#fullLook = now() + lease;
    if (found && !this.#abort.signal.aborted) this.#kept.see(found);
  }

  async #renew(claimant: Claimant): Promise<void> {
    const { lease, now } = this.#options;
    for (const lost of [...this.#lost]) await this.#store.renew(claimant, lost, true);
    const own = this.#own;
    const taker = own && await this.#store.renew(claimant, own, false);
    this.#renewal = now() + lease / 3;
    if (!taker) return;
    this.#own = undefined;
    this.#lost.push(own);
    claimant.onLost?.(own, taker);
  }

  async #take(claimant: Claimant): Promise<void> {
    const { state, random, slots } = this.#options;
    const remembered = this.#remembered(claimant);
    const taken = await this.#store.claim(claimant, { had: state.had, remembered, chance: anyEpoch(random) });
    if (taken === "full") return this.#full(`all ${slots} slots are taken (cluster.slots)`);
    if ("wait" in taken) return this.#tell("info", "waiting for a slot", "redis may not know yet who has which");
    const { claim } = taken;
    this.#own = claim;
    this.#told = undefined;
    await state.keep({ ...claim, instance: claimant.instance });
    if (!this.#isFirst) return claimant.onClaimed?.(claim);
    this.#isFirst = false;
    this.#first.resolve(claim);
  }

  /** Who has had none is told so, and that is all; who had one tries on. */
  #full(reason: string): void {
    this.#tell("error", "no slot", reason);
    if (!this.#isFirst) return;
    this.#claimant = undefined;
    this.#first.reject(new Error(reason));
  }

  #tell(level: "info" | "error", event: string, reason: string): void {
    if (reason !== this.#told) this.#options.log[level](event, { reason });
    this.#told = reason;
  }

  /** The last epoch that anyone here knows of each slot. */
  #remembered({ remembered }: Claimant): Map<number, number> {
    const all = new Map<number, number>();
    const known = [...remembered].map(([slot, epoch]) => ({ slot, epoch }));
    for (const { slot, epoch } of [...known, ...this.#options.state.had, ...this.#lost]) {
      all.set(slot, Math.max(epoch, all.get(slot) ?? 0));
    }
    return all;
  }
}
