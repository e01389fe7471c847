import type { Config } from "../../config.ts";
import { Networks } from "./networks.ts";
import type { Gate } from "../seams.ts";
import type { SharedState } from "../shared_state.ts";
import type { Refusal } from "../stats.ts";
import { exceeds } from "./visitors.ts";

/** Who may come in: `allow`, `deny` and `limits` of the configuration. What is in is never touched. */
export class Admission {
  #limits: Config["limits"];
  #allow: Networks;
  #deny: Networks;
  readonly #shared: SharedState;
  readonly #gate: Gate;

  constructor(config: Config, { shared, gate }: { shared: SharedState; gate: Gate }) {
    this.#limits = config.limits;
    this.#allow = new Networks(config.allow);
    this.#deny = new Networks(config.deny);
    this.#shared = shared;
    this.#gate = gate;
  }

  /** Goes by another configuration; what is counted goes on. */
  reconfigure(config: Config): void {
    this.#limits = config.limits;
    this.#allow = new Networks(config.allow);
    this.#deny = new Networks(config.deny);
  }

  /** Why an address may not connect. That of a proxy is not the client's, which is looked at when it is known. */
  refusesConnection(address: string, isProxy: boolean): Refusal | undefined {
    if (!isProxy && this.refusesAddress(address)) return "denied";
    return exceeds(this.#shared.handshakes.value, this.#limits.handshakes) ? "handshakes" : undefined;
  }

  /** Whether `allow` and `deny` keep an address out. */
  refusesAddress(address: string): boolean {
    return this.#deny.has(address) || (this.#allow.size > 0 && !this.#allow.has(address));
  }

  /** Why nobody may begin a session, as far as that has nothing to do with who it is. `cacheSpent`: as in `begin`. */
  refusesSession(cacheSpent: boolean): Refusal | undefined {
    if (cacheSpent) return "cache_bytes";
    return exceeds(this.#shared.sessions.value, this.#limits.sessions) ? "sessions" : undefined;
  }

  /**
   * Counts a new session of an address, unless it may not begin one: then why. Else `end` is to be called, once. `cacheSpent`:
   * whether the budget of the resend caches is used up.
   */
  async begin(address: string, cacheSpent: boolean): Promise<Refusal | { end: () => void }> {
    const { sessions } = this.#shared;
    const { sessions: most, sessionsPerIp, newPerSecondPerIp } = this.#limits;
    if (cacheSpent) return "cache_bytes";
    if (exceeds(sessions.add(1) - 1, most)) {
      sessions.add(-1);
      return "sessions";
    }
    // Another thread has to be asked for these: only when there is something to ask.
    const counted = sessionsPerIp > 0 || newPerSecondPerIp > 0;
    const refusal = counted ? await this.#gate.begin(address) : undefined;
    if (refusal) sessions.add(-1);
    return refusal ?? { end: this.#countingOff(address, counted) };
  }

  /** Counts a session of an address that has begun elsewhere, whatever the limits are: gives what is to be called, once, when it ends. */
  take(address: string): () => void {
    const { sessionsPerIp, newPerSecondPerIp } = this.#limits;
    const counted = sessionsPerIp > 0 || newPerSecondPerIp > 0;
    this.#shared.sessions.add(1);
    if (counted) this.#gate.take(address);
    return this.#countingOff(address, counted);
  }

  #countingOff(address: string, counted: boolean): () => void {
    return () => {
      this.#shared.sessions.add(-1);
      if (counted) this.#gate.end(address);
    };
  }

  /** Why an address may not resume. */
  async refusesResume(address: string): Promise<Refusal | undefined> {
    return this.#limits.resumeFailuresPerIp > 0 ? await this.#gate.refusesResume(address) : undefined;
  }

  /** Counts a refused resume of an address. */
  resumeFailed(address: string): void {
    if (this.#limits.resumeFailuresPerIp > 0) this.#gate.resumeFailed(address);
  }
}
