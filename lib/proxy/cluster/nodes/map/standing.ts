import { type Endpoint, formatEndpoint } from "../../../../link/link.ts";
import type { Life } from "./facts.ts";
import type { Lives } from "./lives.ts";
import type { Place, Places } from "./places.ts";

export interface NodeMapOptions {
  /** This process. */
  instance: string;
  /** Where peers reach it. */
  addr: Endpoint;
  /** How long a session of a node can be without a client that has not said so itself, in milliseconds. */
  reuseTime: number;
  /** Milliseconds since 1970, which never go back, nor jump: what is forgotten goes by them. */
  now: () => number;
}

/** How a life is now, with the address at which it is. `error`: why it does not answer. */
export type LifeStatus = Pick<Place, "addr" | "state" | "since" | "error">;

/** How it is with a life, by what was met at addresses. */
export class Standing {
  readonly #lives: Lives;
  readonly #places: Places;
  readonly #reuseTimeOf: (instance: string) => number | undefined;
  readonly #options: NodeMapOptions;

  /** All that it goes by is the caller's, and changes. */
  constructor({ lives, places, reuseTimeOf, options }: {
    lives: Lives;
    places: Places;
    reuseTimeOf: (instance: string) => number | undefined;
    options: NodeMapOptions;
  }) {
    this.#lives = lives;
    this.#places = places;
    this.#reuseTimeOf = reuseTimeOf;
    this.#options = options;
  }

  /** How it is with the life, wherever its instance is. */
  of(life: Life): LifeStatus {
    const place = this.#placeOf(life);
    if (this.isOwn(place.addr)) return { ...place, state: "refused", error: "it is this process that is there" };
    if (place.instance === undefined || place.instance === life.instance) return place;
    // Another one is met there. Who was met there before is gone; of another we know only who came first.
    const isGone = this.#places.of(life.instance).length > 0 || this.#isBefore(life, place.instance);
    const error = `another instance, ${place.instance}, is there`;
    return { addr: place.addr, since: place.since, state: isGone ? "refused" : "unknown", error };
  }

  /** Where the instance of a life is, or was last; of several places it is the same one however they came. */
  #placeOf({ instance, addr }: Life): Place {
    const rank = (place: Place) => {
      const isFound = this.#lives.found.some(({ addr }) => isSame(addr, place.addr));
      return `${place.instance === instance ? 0 : 1}${isFound ? 0 : 1}${formatEndpoint(place.addr)}`;
    };
    const [first, ...others] = this.#places.of(instance);
    return others.reduce((best, place) => rank(place) < rank(best) ? place : best, first ?? this.#places.at(addr));
  }

  /** Whether the instance has taken a slot later, or that slot in a later epoch. */
  #isBefore({ slot, epoch, at = Infinity }: Life, instance: string): boolean {
    return [...this.#lives.all()].some((life) =>
      life.instance === instance && ((life.at ?? 0) >= at || life.slot === slot && life.epoch > epoch)
    );
  }

  /** How it is with the owner that should be at a place of which nothing is known. */
  ofPlace(place: Place): LifeStatus {
    if (place.instance !== undefined) return { ...place, state: "refused", error: "the node there has another slot" };
    return this.#isOver(place) ? { ...place, state: "refused" } : place;
  }

  /** Whether nobody can resume a session of it any more. */
  isForgotten({ instance }: Life, status: LifeStatus): boolean {
    return this.#isOver(status, this.#reuseTimeOf(instance));
  }

  /** Whether its sessions have ended by now, whatever has become of it. */
  #isOver({ state, since }: LifeStatus, reuseTime = this.#options.reuseTime): boolean {
    return (state === "away" || state === "refused") && this.#options.now() - since > reuseTime;
  }

  /** Whether peers reach this process there: nobody else was ever met. */
  isOwn(addr: Endpoint): boolean {
    const { instance, addr: own } = this.#options;
    const there = this.#places.at(addr);
    return isSame(addr, own) && (there.state === "unknown" || there.instance === instance);
  }
}

export function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.hostname === b.hostname && a.port === b.port;
}
