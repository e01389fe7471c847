import { type Endpoint, formatEndpoint } from "./link.ts";

/** How long an address that failed is tried after the others, in milliseconds. */
export const LAST_FOR = 10_000;
/** Names, and so addresses, may come from strangers: what is remembered of them must have an end. */
const MOST = 1024;

/** Which of several addresses is tried first: by chance, so that all get their part, but those that failed of late last. */
export class Addresses {
  readonly #random: () => number;
  readonly #now: () => number;
  /** When each failed; the one that did so longest ago is the first. */
  readonly #failed = new Map<string, number>();

  /** `random`: a number of [0, 1). `now`: milliseconds, from any start. */
  constructor({ random, now }: { random: () => number; now: () => number }) {
    this.#random = random;
    this.#now = now;
  }

  order(endpoints: readonly Endpoint[]): Endpoint[] {
    return this.badLast(this.#shuffled(endpoints), (endpoint) => endpoint);
  }

  /** Leaves those as they are that stand at good addresses, and puts the others after them. */
  badLast<T>(all: readonly T[], endpointOf: (one: T) => Endpoint): T[] {
    const good: T[] = [];
    const bad: T[] = [];
    for (const one of all) (this.#isBad(endpointOf(one)) ? bad : good).push(one);
    return [...good, ...bad];
  }

  failed(endpoint: Endpoint): void {
    const key = formatEndpoint(endpoint);
    this.#failed.delete(key);
    this.#failed.set(key, this.#now());
    const oldest = this.#failed.keys().next();
    if (this.#failed.size > MOST && !oldest.done) this.#failed.delete(oldest.value);
  }

  answered(endpoint: Endpoint): void {
    this.#failed.delete(formatEndpoint(endpoint));
  }

  #isBad(endpoint: Endpoint): boolean {
    const failed = this.#failed.get(formatEndpoint(endpoint));
    return failed !== undefined && this.#now() < failed + LAST_FOR;
  }

  /** In an order of which each is as likely as any other; a single one takes no chance. */
  #shuffled(endpoints: readonly Endpoint[]): Endpoint[] {
    const order = [...endpoints];
    for (let last = order.length - 1; last > 0; last--) {
      const chosen = Math.floor(this.#random() * (last + 1));
      [order[last], order[chosen]] = [order[chosen]!, order[last]!];
    }
    return order;
  }
}
