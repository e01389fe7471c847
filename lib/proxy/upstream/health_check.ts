import type { Check } from "../../config.ts";
import { dial, type DialOptions } from "../../link/dial.ts";
import { reasonOf } from "../../link/link.ts";
import { shortageOf } from "../../link/shortage.ts";
import type { HostState } from "./host_state.ts";
import type { ReachSeams } from "../seams.ts";

type CheckSeams = Pick<ReachSeams, "log"> & Pick<DialOptions, "lookup" | "addresses" | "engine">;

/** Connects to each host once an interval, and closes again: whether that works is what the host's status goes by. */
export class HealthCheck {
  readonly #seams: CheckSeams;
  readonly #check: Check;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #stopped = new AbortController();

  /** `hosts`: those there are at the time. */
  constructor(check: Check, hosts: () => Iterable<HostState>, seams: CheckSeams) {
    this.#check = check;
    this.#seams = seams;
    const round = () => {
      for (const state of hosts()) void this.#look(state);
    };
    this.#timer = setInterval(round, check.interval);
    round();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopped.abort();
  }

  async #look(state: HostState): Promise<void> {
    const { addr } = state.host;
    if (addr.kind === "builtin") return;
    const { lookup, addresses, engine } = this.#seams;
    const { signal } = this.#stopped;
    let failure: unknown;
    try {
      (await dial(addr, { timeout: this.#check.timeout, engine, addresses, lookup, signal })).close();
    } catch (error) {
      failure = error;
    }
    if (!signal.aborted) this.#found(state, failure);
  }

  /** A failure for want of something of ours says nothing of the host. */
  #found(state: HostState, failure: unknown): void {
    const { log } = this.#seams;
    const fields = { upstream: state.address, name: state.host.name };
    const shortage = shortageOf(failure);
    if (shortage) return log.error(`out of ${shortage}`, { ...fields, reason: reasonOf(failure) });
    if (!state.checked(failure === undefined, this.#check)) return;
    if (failure) log.warning("upstream down", { ...fields, reason: reasonOf(failure) });
    else log.info("upstream up", fields);
  }
}
