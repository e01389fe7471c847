import { type Endpoint, formatEndpoint } from "../../../../link/link.ts";
import type { NodeState } from "../../../cluster_info.ts";

/** How it is at an address. */
export interface Place {
  addr: Endpoint;
  state: NodeState;
  /** In milliseconds since 1970. */
  since: number;
  /** Who answers there; missing: nobody does. */
  instance?: string;
  /** Why nobody does. */
  error?: string;
}

/** All that was met: plain data. */
export interface PlacesSnapshot {
  places: Place[];
  /** Where each instance was met, by addresses of `places`. */
  met: { instance: string; at: string[] }[];
}

/** What was met at addresses, and how it is there now. */
export class Places {
  readonly #places = new Map<string, Place>();
  /** At which addresses each instance was ever met: where it is, or was before another one was met there. */
  readonly #met = new Map<string, Set<string>>();
  readonly #start: number;

  /** `start`: since when nobody has tried what nobody has tried. */
  constructor(start: number) {
    this.#start = start;
  }

  get snapshot(): PlacesSnapshot {
    const met = [...this.#met].map(([instance, at]) => ({ instance, at: [...at] }));
    return { places: [...this.#places.values()], met };
  }

  /** Knows what another one knew. */
  restore({ places, met }: PlacesSnapshot): void {
    for (const place of places) this.#places.set(formatEndpoint(place.addr), place);
    for (const { instance, at } of met) this.#met.set(instance, new Set(at.filter((key) => this.#places.has(key))));
  }

  at(addr: Endpoint): Place {
    return this.#places.get(formatEndpoint(addr)) ?? { addr, state: "unknown", since: this.#start };
  }

  /** All where the instance was ever met. */
  of(instance: string): Place[] {
    return [...this.#met.get(instance) ?? []].map((key) => this.#places.get(key)!);
  }

  /** Somebody answers there. Gives whether that is new. */
  answered(addr: Endpoint, instance: string, now: number): boolean {
    const key = formatEndpoint(addr);
    const met = this.#met.get(instance) ?? new Set();
    this.#met.set(instance, met.add(key));
    const before = this.#places.get(key);
    if (before?.state === "up" && before.instance === instance) return false;
    this.#places.set(key, { addr, state: "up", since: now, instance });
    return true;
  }

  /** Nobody answers there. Gives whether that is new. */
  lost(addr: Endpoint, state: "refused" | "away", error: string, now: number): boolean {
    const key = formatEndpoint(addr);
    const before = this.#places.get(key);
    const isNew = before?.state !== state;
    this.#places.set(key, { addr, state, since: isNew ? now : before.since, error });
    return isNew;
  }

  /** Forgets where these instances were met, and the addresses that no one else is at, nor is to be tried. */
  keep(instances: ReadonlySet<string>, addrs: Iterable<Endpoint>): void {
    for (const instance of this.#met.keys()) if (!instances.has(instance)) this.#met.delete(instance);
    const kept = new Set([...addrs].map(formatEndpoint));
    for (const met of this.#met.values()) for (const key of met) kept.add(key);
    for (const key of this.#places.keys()) if (!kept.has(key)) this.#places.delete(key);
  }
}
