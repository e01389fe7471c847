import type { Addresses } from "../../link/addresses.ts";
import type { Link } from "../../link/link.ts";
import { race } from "../../link/race.ts";
import type { HostState } from "./host_state.ts";

export interface DiallerOptions {
  dial: (state: HostState, signal: AbortSignal) => Promise<Link>;
  /** Hears of those that did not answer before another. */
  addresses: Addresses;
  /** Hears of each that failed, while its session is counted. */
  onFailure: (state: HostState, error: unknown) => void;
}

/** Dials hosts that are one backend: whichever answers first, see `race`, and from then on that one. It counts its session. */
export class Dialler {
  readonly #hosts: readonly HostState[];
  readonly #options: DiallerOptions;
  /** Those whose session is counted: the one that answered, or all that have been dialled and did not fail. */
  readonly #counted = new Set<HostState>();
  #chosen: HostState | undefined;

  /** There must be one. */
  constructor(hosts: readonly HostState[], options: DiallerOptions) {
    this.#hosts = hosts;
    this.#options = options;
  }

  /** What is dialled is in this process. */
  get isBuiltin(): boolean {
    return this.#hosts.some(({ host }) => host.addr.kind === "builtin");
  }

  /** The one that answered. */
  get chosen(): HostState | undefined {
    return this.#chosen;
  }

  /** The caller owns the link. Rejects when all have failed or may not get another session, or when it is given up. */
  dial = async (signal: AbortSignal): Promise<Link> => {
    if (this.#chosen) return await this.#options.dial(this.#chosen, signal);
    const { state, link } = await race(this.#hosts, {
      attempt: (state, signal) => this.#attempt(state, signal),
      discard: ({ link }) => link.close(),
      onFailure: (state) => this.#overtaken(state),
      signal,
    });
    this.#chosen = state;
    for (const other of this.#counted) if (other !== state) this.#countOff(other);
    return link;
  };

  /** Says that nothing came of it because of the one that answered, or because of those that did not in time. */
  blame(error: unknown): void {
    for (const state of this.#counted) this.#options.onFailure(state, error);
  }

  /** Counts the session off again: it is over, or nothing came of it, for which `blame` comes first. */
  release(): void {
    for (const state of this.#counted) this.#countOff(state);
  }

  async #attempt(state: HostState, signal: AbortSignal): Promise<{ state: HostState; link: Link }> {
    const { dial, onFailure } = this.#options;
    // From now on, so that several at once see each other. Others may have come while one before was dialled.
    if (!state.begin()) throw new Error("it may not get another session");
    this.#counted.add(state);
    try {
      return { state, link: await dial(state, signal) };
    } catch (error) {
      if (!signal.aborted) {
        onFailure(state, error);
        this.#countOff(state);
      }
      throw error;
    }
  }

  /** Those that failed have been told of already, each with its address. */
  #overtaken(state: HostState): void {
    const { addr } = state.host;
    if (this.#counted.has(state) && addr.kind === "tcp") this.#options.addresses.failed(addr);
  }

  #countOff(state: HostState): void {
    this.#counted.delete(state);
    state.end();
  }
}
