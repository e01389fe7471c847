import type { Check } from "../../config.ts";
import { dial } from "../../link/dial.ts";
import { reasonOf } from "../../link/link.ts";
import type { HostState } from "./host_state.ts";
import type { UpstreamSeams } from "../seams.ts";

/** Connects to each host once an interval, and closes again: whether that works is what the host's status goes by. */
export class HealthCheck {
  readonly #seams: Pick<UpstreamSeams, "log" | "lookup">;
  readonly #check: Check;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #stopped = new AbortController();

  /** `hosts`: those there are at the time. */
  constructor(check: Check, hosts: () => Iterable<HostState>, seams: Pick<UpstreamSeams, "log" | "lookup">) {
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
    const { addr, name } = state.host;
    if (addr.kind === "builtin") return;
    let reason: string | undefined;
    try {
      const { timeout } = this.#check;
      const { lookup } = this.#seams;
      const { signal } = this.#stopped;
      (await dial(addr, { timeout, keepAlive: false, signal, ...(lookup && { lookup }) })).close();
    } catch (error) {
      reason = reasonOf(error);
    }
    if (this.#stopped.signal.aborted || !state.checked(reason === undefined, this.#check)) return;
    const fields = { upstream: state.address, name };
    if (reason) this.#seams.log.warning("upstream down", { ...fields, reason });
    else this.#seams.log.info("upstream up", fields);
  }
}
