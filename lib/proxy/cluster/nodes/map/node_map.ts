import { type Endpoint, formatEndpoint } from "../../../../link/link.ts";
import type { NodeView } from "../peers.ts";
import type { Found } from "../../discovery/discovery.ts";
import { keyOf, type Known, type Life, type NodeFacts } from "./facts.ts";
import { isBefore, Lives, type LivesSnapshot } from "./lives.ts";
import { Places, type PlacesSnapshot } from "./places.ts";
import { isSame, type LifeStatus, type NodeMapOptions, Standing } from "./standing.ts";

/** All that is known of other nodes: plain data. Times are milliseconds since 1970, by the clock of who knows it. */
export interface MapSnapshot {
  lives: LivesSnapshot;
  places: PlacesSnapshot;
  facts: { facts: NodeFacts; at: number }[];
}

/**
 * What is known of the other nodes, by slot and epoch: from the discovery, from what they say themselves, from what is met at their
 * addresses, and from what nodes tell of others. In whatever order these come, the same is known at the end.
 *
 * A life whose node has been away, or gone, for longer than its sessions can be without a client is forgotten.
 */
export class NodeMap {
  readonly #options: NodeMapOptions;
  readonly #lives = new Lives();
  readonly #places: Places;
  /** By instance, and when it said so. */
  readonly #facts = new Map<string, { facts: NodeFacts; at: number }>();
  readonly #standing: Standing;
  /** What this process owns, the latest last. Set by the owner of the map. */
  own: readonly Known[] = [];
  #revision = 0;

  constructor(options: NodeMapOptions) {
    this.#options = { ...options };
    this.#places = new Places(options.now());
    this.#standing = new Standing({
      lives: this.#lives,
      places: this.#places,
      reuseTimeOf: (instance) => this.factsOf(instance)?.reuseTime,
      options: this.#options,
    });
  }

  get snapshot(): MapSnapshot {
    const facts = [...this.#facts.values()];
    return { lives: this.#lives.snapshot, places: this.#places.snapshot, facts };
  }

  /** Knows what another one of this instance knew. */
  restore({ lives, places, facts }: MapSnapshot): void {
    this.#lives.restore(lives);
    this.#places.restore(places);
    for (const each of facts) this.#facts.set(each.facts.identity.instance, each);
    this.#revision++;
  }

  /** Another one when anything has changed, but by time. */
  get revision(): number {
    return this.#revision;
  }

  /** How long a session of this process can be without a client, in milliseconds. */
  set reuseTime(ms: number) {
    this.#options.reuseTime = ms;
  }

  /** The discovery says that nodes are there: all of them, each time. */
  found(found: readonly Found[]): void {
    this.#lives.found = found;
    this.#revision++;
  }

  /** A node tells of lives, its own or others'. */
  heard(known: readonly Known[]): void {
    for (const life of known) {
      if (life.instance !== this.#options.instance && this.#lives.tell(life)) this.#revision++;
    }
  }

  /** The node at the address says of itself. Gives whether another one, or none, was there before. */
  answered(addr: Endpoint, facts: NodeFacts): boolean {
    const { instance } = facts.identity;
    const now = this.#options.now();
    const isNew = this.#places.answered(addr, instance, now);
    const before = this.#facts.get(instance);
    if (isNew || JSON.stringify(facts) !== JSON.stringify(before?.facts)) this.#revision++;
    if (!before || before.at <= now) this.#facts.set(instance, { facts, at: now });
    return isNew;
  }

  /** That instance is at the address, whatever else it is. */
  met(addr: Endpoint, instance: string): void {
    if (this.#places.answered(addr, instance, this.#options.now())) this.#revision++;
  }

  /** Nobody answers at the address: nothing listens there, or it is not known why. Gives whether that is new. */
  lost(addr: Endpoint, state: "refused" | "away", error: string): boolean {
    const isNew = this.#places.lost(addr, state, error, this.#options.now());
    if (isNew) this.#revision++;
    return isNew;
  }

  /** The largest epoch that was ever told of, by slot; it changes. */
  get epochs(): ReadonlyMap<number, number> {
    return this.#lives.epochs;
  }

  /** A node remembers that epoch of the slot. */
  remember(slot: number, epoch: number): void {
    this.#lives.remember(slot, epoch);
  }

  /** Whether the instance is there. */
  isUp(instance: string): boolean {
    return this.#places.of(instance).some((place) => place.state === "up" && place.instance === instance);
  }

  factsOf(instance: string): NodeFacts | undefined {
    return this.#facts.get(instance)?.facts;
  }

  /** What is known of others: by slot, of a slot the latest life first, and of two that have the same the one whose it is. */
  lives(): { life: Life; status: LifeStatus }[] {
    const lives = [];
    for (const life of this.#lives.all()) {
      if (life.instance === this.#options.instance) continue;
      const status = this.#standing.of(life);
      if (!this.#standing.isForgotten(life, status)) lives.push({ life, status });
    }
    return lives.sort(({ life: a }, { life: b }) => a.slot - b.slot || b.epoch - a.epoch || (isBefore(a, b) ? -1 : 1));
  }

  /** Where the discovery says that an owner of a slot should be of whom nothing is known. */
  places(): { slot: number; status: LifeStatus }[] {
    const lives = this.lives();
    const { instance: self } = this.#options;
    return this.#lives.found.flatMap(({ slot, addr, instance }) => {
      const place = this.#places.at(addr);
      if (this.#standing.isOwn(addr) || instance === self || place.instance === self) return [];
      const isKnown = lives.some(({ life, status }) =>
        life.slot === slot && (isSame(status.addr, addr) || life.instance === place.instance)
      );
      return isKnown ? [] : [{ slot, status: this.#standing.ofPlace(place) }];
    });
  }

  /** What threads go by. */
  views(): NodeView[] {
    const lives = this.lives().map(({ life, status }) => this.#viewOf(life, status));
    const places = this.places().map(({ slot, status: { addr, state, since } }): NodeView => {
      return { slot, addr, state, since, takesNew: false, serves: [], weight: 1 };
    });
    return [...lives, ...places];
  }

  /** The addresses to watch: all that the discovery knows, and those of lives that are met at none of these. */
  targets(): Endpoint[] {
    const targets = new Map<string, Endpoint>();
    const add = (addr: Endpoint) => targets.set(formatEndpoint(addr), addr);
    for (const { addr, instance } of this.#lives.found) {
      if (instance !== this.#options.instance && !this.#standing.isOwn(addr)) add(addr);
    }
    for (const { status } of this.lives()) if (!this.#standing.isOwn(status.addr)) add(status.addr);
    return [...targets.values()];
  }

  /** What this one tells others: what it owns, and what it has met itself. So what is gone is not told round and round. */
  known(): Known[] {
    const known = this.lives().flatMap(({ life: { at, ...life }, status: { state } }) => {
      const isMet = this.#facts.has(life.instance) && (state === "up" || state === "away");
      return isMet && at !== undefined ? [{ ...life, at }] : [];
    });
    return [...this.own, ...known];
  }

  /** Another instance that has our slot and epoch, and took it earlier. */
  get conflict(): Life | undefined {
    const own = this.own.at(-1);
    if (!own) return undefined;
    return this.lives().find(({ life, status: { state } }) =>
      life.slot === own.slot && life.epoch === own.epoch && state !== "refused" && isBefore(life, own)
    )?.life;
  }

  /** Another instance that is met where peers reach this one, and gets what is for this one. */
  get impostor(): string | undefined {
    const { state, instance } = this.#places.at(this.#options.addr);
    return state === "up" && instance !== this.#options.instance ? instance : undefined;
  }

  /** Lets go of what is forgotten. To be called now and then. */
  sweep(): void {
    const lives = this.lives().map(({ life }) => life);
    const kept = new Set(lives.map(keyOf));
    for (const life of [...this.#lives.all()]) if (!kept.has(keyOf(life))) this.#lives.forget(life);
    const instances = new Set(lives.map(({ instance }) => instance));
    for (const instance of this.#facts.keys()) if (!instances.has(instance)) this.#facts.delete(instance);
    this.#places.keep(instances, [...this.#lives.found.map(({ addr }) => addr), ...this.targets()]);
  }

  #viewOf(life: Life, { addr, state, since }: LifeStatus): NodeView {
    const { slot, epoch, instance } = life;
    const { identity, takesNew = false, serves = [], weight = 1 } = this.factsOf(instance) ?? {};
    const isLatest = identity?.slot === slot && identity.epoch === epoch;
    const begins = takesNew && isLatest && state === "up";
    return { slot, epoch, instance, addr, state, since, takesNew: begins, serves, weight };
  }
}
