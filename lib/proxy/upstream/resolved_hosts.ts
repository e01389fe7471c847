import type { Address } from "../../config.ts";
import { HostState, keyOf } from "./host_state.ts";

/** Clients say the names: what is remembered of them must have an end. */
const MOST = 1024;

/** The hosts that the DNS has named, and how each is, as far as this thread knows: those that were asked for last. */
export class ResolvedHosts {
  /** The one that was asked for longest ago is the first. */
  readonly #states = new Map<string, HostState>();
  readonly #most: number;

  /** `most`: how many are remembered. One that is forgotten begins anew when it is asked for again. */
  constructor(most = MOST) {
    this.#most = most;
  }

  /** The hosts of a name, which are at these addresses now; one an address, though a system may give one twice. */
  at(name: string, addresses: readonly Address[]): HostState[] {
    const group = new Set(addresses.map((addr) => this.#state(name, addr)));
    for (const key of this.#states.keys()) {
      if (this.#states.size <= this.#most) break;
      this.#states.delete(key);
    }
    return [...group];
  }

  #state(name: string, addr: Address): HostState {
    const host = { name, addr, weight: 1, backup: false, drain: false, maxSessions: 0 };
    const key = keyOf(host);
    const state = this.#states.get(key) ?? new HostState(host);
    this.#states.delete(key);
    this.#states.set(key, state);
    return state;
  }
}
