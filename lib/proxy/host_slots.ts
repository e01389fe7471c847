import { MOST_HOSTS, type SharedState } from "./shared_state.ts";

/** Which slot of the shared state each host has, by what names it; one that is missing has none. */
export type Slots = ReadonlyMap<string, number>;

/** The slots of the hosts of a configuration. */
export interface Assignment {
  slots: Slots;
  /** Says that all threads go by this configuration now, and by none from before. */
  settled: () => void;
}

/** What a host has. */
interface Place {
  slot: number;
  /** The last of the assignments that the host was in. */
  round: number;
}

/**
 * Assigns the slots of the shared state to hosts, for all threads. A host that no thread's configuration has any more keeps its
 * slot until its last session is over; it is given on, zeroed, at an assignment after that.
 */
export class HostSlots {
  readonly #shared: SharedState;
  readonly #places = new Map<string, Place>();
  /** Those that no host has; the next to be taken is the last. */
  readonly #free = Array.from({ length: MOST_HOSTS }, (_, i) => MOST_HOSTS - 1 - i);
  #round = 0;
  /** The newest assignment that all threads go by. */
  #settled = 0;

  constructor(shared: SharedState) {
    this.#shared = shared;
  }

  /** Which slot each host has, also of those that are in no configuration any more. */
  get slots(): Slots {
    return new Map([...this.#places].map(([key, { slot }]) => [key, slot]));
  }

  /** To hosts that have a slot the same again; to the others, in their order, as long as there are any. */
  assign(keys: Iterable<string>): Assignment {
    this.#reclaim();
    const round = ++this.#round;
    const slots = new Map<string, number>();
    for (const key of keys) {
      const slot = this.#places.get(key)?.slot ?? this.#free.pop();
      if (slot === undefined) continue;
      this.#places.set(key, { slot, round });
      slots.set(key, slot);
    }
    return { slots, settled: () => this.#settled = Math.max(this.#settled, round) };
  }

  /**
   * Assigns slots, and has `tell` tell all threads, which is to settle when each goes by the configuration: once more when hosts
   * that went with the one before left room for others. Gives how many hosts have no slot. Rejects when `tell` does: then some
   * threads may go by this configuration, and some by that before.
   */
  async spread(keys: ReadonlySet<string>, tell: (slots: Slots) => Promise<unknown>): Promise<number> {
    for (let told = -1;;) {
      const { slots, settled } = this.assign(keys);
      if (slots.size > told) await tell(slots);
      settled();
      if (slots.size === keys.size || slots.size === told) return keys.size - slots.size;
      told = slots.size;
    }
  }

  #reclaim(): void {
    for (const [key, { slot, round }] of this.#places) {
      if (round >= this.#settled || this.#shared.host(slot).sessions.value > 0) continue;
      this.#places.delete(key);
      this.#shared.clear(slot);
      this.#free.push(slot);
    }
  }
}
