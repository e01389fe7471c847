import { createHash } from "node:crypto";
import type { Public } from "../../publics.ts";
import { reasonOf } from "../../../link/link.ts";
import type { CarriedCounts } from "../../cluster_info.ts";
import { type Answers as AllAnswers, type Called, Calls } from "./calls.ts";
import type { NodeSnapshot } from "./node_snapshot.ts";
import type { ClusterNodeOptions, Offering } from "./cluster_node_options.ts";
import { describe, type Described } from "./describe.ts";
import type { Known } from "./map/facts.ts";
import { isGone, NoOwner, whomToAsk } from "./map/who_owns.ts";
import { Answers, type Asker } from "./own/answers.ts";
import type { Own, Pair } from "./own/own_lives.ts";
import { OwnSlot } from "./own/own_slot.ts";
import type { CarriedName, NodeView } from "./peers.ts";
import { ClosedNumbers } from "./watching/closed_numbers.ts";
import { Neighbours } from "./watching/neighbours.ts";
import type { WatchAnswer } from "./watching/watch_answer.ts";

/** Milliseconds between two looks at what time has changed. */
const TICK = 1000;
/** Milliseconds without a question after which who has asked every second watches no more, and is gone. */
const SILENT = 5000;
const GONE = 60_000;

/**
 * A process of the cluster, as its main thread has it: which slot it has, what is known of the others, what they are asked, and what
 * they are answered.
 */
export class ClusterNode {
  readonly #options: ClusterNodeOptions;
  #offering: Offering;
  readonly #neighbours: Neighbours;
  readonly #slot: OwnSlot;
  readonly #calls: Calls;
  readonly #answers: Answers;
  readonly #closed = new ClosedNumbers();
  #tick: ReturnType<typeof setTimeout> | undefined;
  #toldViews = "";
  /** What others are told of whom this one knows, as long as nothing changes: each of them asks every second. */
  #known: { revision: number; own: readonly Known[]; told: Pick<WatchAnswer, "known" | "edition"> } | undefined;

  constructor(options: ClusterNodeOptions) {
    const { connect, handlers, now } = options;
    this.#options = options;
    this.#offering = offeringOf(options);
    this.#neighbours = new Neighbours({
      ...options,
      publics: () => this.#slot.isDraining ? [] : this.#offering.publics,
      onChange: () => this.#update(),
    });
    this.#slot = new OwnSlot({ ...options, neighbours: this.#neighbours });
    this.#calls = new Calls(connect);
    const epochs = () => this.#neighbours.map.epochs;
    this.#answers = new Answers({ handlers, tell: () => this.#tell(), epochs, closed: this.#closed, now });
  }

  get own(): Own {
    return this.#slot.state;
  }

  get views(): NodeView[] {
    return this.#neighbours.map.views();
  }

  /** Whether the discovery has told which nodes there are: before, whoever is not among the views may be there. */
  get hasFound(): boolean {
    return this.#neighbours.hasFound;
  }

  /** Whether a slot is, or was, this node's, in that epoch, of which the lowest bits count, or in any. */
  owns(slot: number, epoch?: number): boolean {
    return this.#slot.owns(slot, epoch);
  }

  /** Begins to look for nodes, and takes a slot, which an edge has none of. Rejects when there is none to be had. */
  async claim(): Promise<Own> {
    this.#options.discovery.watch((found) => this.#neighbours.found(found));
    if (this.#options.cluster.role === "node") await this.#slot.claim();
    return this.own;
  }

  /** All that another process needs to go on as this node. */
  get snapshot(): NodeSnapshot {
    const { map, hasFound } = this.#neighbours;
    return { own: this.#slot.snapshot, map: map.snapshot, hasFound, at: this.#options.now() };
  }

  /** What `tellClosed` was told, and others may not have heard yet. */
  get closed(): CarriedName[] {
    return this.#closed.all;
  }

  /** Goes on as the node of which another process, of the same instance, gave that: instead of `claim`. */
  goOn({ own, map, hasFound }: NodeSnapshot): void {
    this.#neighbours.map.restore(map);
    if (this.#options.cluster.role === "node") this.#slot.goOn(own);
    const known = hasFound ? map.lives.found : undefined;
    this.#options.discovery.watch((found) => this.#neighbours.found(found), known);
  }

  /** Whether another process goes on as this node: then this one takes no other slot, and `close` gives back none. */
  set isPassedOn(isPassedOn: boolean) {
    this.#options.discovery.isPassedOn = isPassedOn;
  }

  /** Watches the others. To be called when peers can connect, or wait. */
  start(): void {
    if (this.#options.cluster.role === "node") void this.#neighbours.meetItself();
    this.#neighbours.start();
    this.#onTick();
  }

  /** What a peer asks, answered. Rejects with what it is told. */
  answer(from: Asker, method: string, args: unknown): Promise<unknown> {
    if (from.role === "node") this.#neighbours.heardOf(from);
    return this.#answers.answer(from, method, args);
  }

  /** This process has closed its end of a connection that another one carries. */
  tellClosed(name: CarriedName): void {
    this.#closed.add(name, this.#options.now());
  }

  /**
   * Asks the node that has a slot in an epoch, or an instance. Rejects when there is no answer in time, or nobody to ask; with `NoOwner`
   * when nobody has the slot in that epoch.
   */
  async ask(whom: Pair | { instance: string }, method: string, args: unknown, timeout: number): Promise<unknown> {
    try {
      return await this.#calls.ask(whomToAsk(this.views, whom, this.own.identity), method, args, timeout);
    } catch (error) {
      throw "slot" in whom && isGone(error) ? new NoOwner(reasonOf(error), { cause: error }) : error;
    }
  }

  /** Asks all other nodes that are up, or those that are wanted; those that do not answer within two seconds are named. */
  async askAll(
    method: string,
    args: unknown,
    isWanted: (view: NodeView) => boolean = () => true,
  ): Promise<AllAnswers<Called>> {
    const up = new Map<string, Called>();
    for (const view of this.views) {
      const { state, instance, addr } = view;
      if (state === "up" && instance !== undefined && isWanted(view)) up.set(instance, { instance, addr });
    }
    return await this.#calls.askAll([...up.values()], method, args);
  }

  /** Begins no new session any more, which others learn. */
  drain(): void {
    this.#slot.drain();
  }

  reconfigure(offering: Offering): void {
    this.#offering = offeringOf(offering);
    this.#neighbours.map.reuseTime = offering.reuseTime;
  }

  /** By which URLs clients reach others than `instance` that are no worse a way to this node: nodes that begin sessions, and edges. */
  elsewhere(instance: string): Public[] {
    const { map } = this.#neighbours;
    const nodes = this.views.filter((view) => view.takesNew && view.instance !== instance);
    const edges = this.#answers.watchers.filter((watcher) => watcher.role === "edge" && watcher.instance !== instance);
    return [
      ...nodes.flatMap((view) => (view.instance && map.factsOf(view.instance)?.publics) || []),
      ...edges.flatMap(({ publics }) => publics),
    ];
  }

  /** `carried`: what this process carried: see `Roads.counts`. */
  describe(carried: ReadonlyMap<string, CarriedCounts>): Described {
    const { cluster: { role }, addr } = this.#options;
    return describe({
      role,
      addr,
      own: this.own,
      map: this.#neighbours.map,
      watchers: this.#answers.watchers,
      carried,
    });
  }

  /** Leaves the cluster. Never rejects. May be called again. */
  async close(): Promise<void> {
    clearTimeout(this.#tick);
    this.#neighbours.close();
    this.#calls.close();
    await this.#options.discovery.close();
  }

  /** What this process tells others that watch it. */
  #tell(): Omit<WatchAnswer, "closed" | "batch"> {
    const { identity, takesNew } = this.own;
    const { role } = this.#options.cluster;
    return { identity, role, takesNew, ...this.#offering, ...this.#tellKnown() };
  }

  #tellKnown(): Pick<WatchAnswer, "known" | "edition"> {
    const { map, map: { revision, own } } = this.#neighbours;
    if (this.#known?.revision === revision && this.#known.own === own) return this.#known.told;
    const known = map.known();
    const edition = createHash("sha256").update(JSON.stringify(known)).digest("base64").slice(0, 16);
    this.#known = { revision, own, told: { known, edition } };
    return this.#known.told;
  }

  #onTick(): void {
    this.#tick = setTimeout(() => this.#onTick(), TICK);
    this.#known = undefined; // time changes it too
    const now = this.#options.now();
    this.#neighbours.sweep();
    this.#answers.sweep(now - SILENT);
    this.#closed.sweep(now - GONE);
    this.#update();
  }

  #update(): void {
    this.#slot.update();
    const { views, hasFound } = this;
    if (!hasFound) return;
    const text = JSON.stringify(views);
    if (text === this.#toldViews) return;
    this.#toldViews = text;
    this.#options.onView(views);
  }
}

/** Of what may be more, as all of it goes to others. */
function offeringOf({ serves, weight, publics, reuseTime }: Offering): Offering {
  return { serves, weight, publics, reuseTime };
}
