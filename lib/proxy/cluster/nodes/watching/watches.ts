import { type Endpoint, formatEndpoint } from "../../../../link/link.ts";
import { Watch, type WatchOptions } from "./watch.ts";
import type { WatchAnswer } from "./watch_answer.ts";

export interface WatchesOptions extends Pick<WatchOptions, "connect" | "args" | "random"> {
  /** What it throws is a fault of the answer. */
  onAnswer: (addr: Endpoint, answer: WatchAnswer) => void;
  onSelf: (addr: Endpoint) => void;
  onLost: (addr: Endpoint, state: "refused" | "away", reason: string) => void;
}

/** A watch of each address where a node may be. */
export class Watches {
  readonly #options: WatchesOptions;
  readonly #watches = new Map<string, Watch>();
  #isClosed = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  /** Watches these addresses, and no other any more. */
  set(addrs: readonly Endpoint[]): void {
    if (this.#isClosed) return;
    const wanted = new Map(addrs.map((addr) => [formatEndpoint(addr), addr]));
    for (const [key, watch] of this.#watches) {
      if (wanted.has(key)) continue;
      watch.close();
      this.#watches.delete(key);
    }
    for (const [key, addr] of wanted) if (!this.#watches.has(key)) this.#watches.set(key, this.#watch(addr));
  }

  /** Another one should be at the address now. */
  redial(addr: Endpoint): void {
    this.#watches.get(formatEndpoint(addr))?.redial();
  }

  close(): void {
    this.#isClosed = true;
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  #watch(addr: Endpoint): Watch {
    const { onAnswer, onSelf, onLost, ...options } = this.#options;
    return new Watch({
      ...options,
      addr,
      onAnswer: (answer) => onAnswer(addr, answer),
      onSelf: () => onSelf(addr),
      onLost: (state, reason) => onLost(addr, state, reason),
    });
  }
}
