import type { Public } from "../../../publics.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "../../../../link/link.ts";
import type { ClusterNodeOptions } from "../cluster_node_options.ts";
import { kindOf } from "../conversation.ts";
import type { Found } from "../../discovery/discovery.ts";
import type { Known, NodeFacts } from "../map/facts.ts";
import { NodeMap } from "../map/node_map.ts";
import type { Asker } from "../own/answers.ts";
import { HeardBatches } from "./closed_numbers.ts";
import { isAny, type WatchAnswer } from "./watch_answer.ts";
import { Watches } from "./watches.ts";

export interface NeighboursOptions
  extends
    Pick<ClusterNodeOptions, "instance" | "addr" | "reuseTime" | "connect" | "log" | "now" | "random" | "onClosed"> {
  /** The URLs by which clients reach this process, who may be told to move there. */
  publics: () => Public[];
  /** Called when something else is known. */
  onChange: () => void;
}

/** Watches the other nodes wherever they may be, and keeps the map of what is known of them. */
export class Neighbours {
  readonly map: NodeMap;
  readonly #options: NeighboursOptions;
  readonly #watches: Watches;
  readonly #batches = new HeardBatches();
  /** Which edition of what it knows each instance told last: it is not told again. */
  readonly #editions = new Map<string, string>();
  readonly #firstFound = Promise.withResolvers<void>();
  #found: readonly Found[] = [];
  #hasFound = false;
  #isStarted = false;
  #revision = 0;

  constructor(options: NeighboursOptions) {
    const { instance, connect, random } = options;
    this.#options = options;
    this.map = new NodeMap(options);
    this.#watches = new Watches({
      ...{ connect, random },
      args: (instance) => ({
        confirmed: this.#batches.lastOf(instance),
        edition: this.#editions.get(instance) ?? "",
        publics: options.publics(),
      }),
      onAnswer: (addr, answer) => this.#onAnswer(addr, answer),
      onSelf: (addr) => {
        this.map.met(addr, instance);
        this.#changed();
      },
      onLost: (addr, state, reason) => this.#onLost(addr, state, reason),
    });
  }

  /** Settles when the discovery has told of nodes. */
  get firstFound(): Promise<void> {
    return this.#firstFound.promise;
  }

  /** Whether it has. */
  get hasFound(): boolean {
    return this.#hasFound;
  }

  /** The addresses that the discovery knows, but our own. */
  get addrs(): Endpoint[] {
    return this.map.targets();
  }

  /** The discovery tells of all nodes. Where another one should be it is looked for at once. */
  found(found: readonly Found[]): void {
    const before = new Set(this.#found.map((one) => JSON.stringify(one)));
    this.#found = found;
    this.map.found(found);
    this.#hasFound = true;
    this.#firstFound.resolve();
    this.#changed();
    for (const one of found) if (!before.has(JSON.stringify(one))) this.#watches.redial(one.addr);
  }

  /**
   * A node has asked something: where it may be it is looked for at once, if it is not known to be up. It may be there before the
   * discovery tells of it, and begin sessions.
   */
  heardOf({ instance, slot, epoch, addr }: Asker): void {
    if (this.map.isUp(instance)) return;
    if (addr && !isAny(addr.hostname)) {
      // Since when it has the slot it tells itself, which is earlier.
      if (slot !== undefined && epoch !== undefined) this.map.heard([{ slot, epoch, instance, addr, at: Infinity }]);
      this.#changed();
      this.#watches.redial(addr);
    }
    for (const found of this.#found) if (found.slot === slot) this.#watches.redial(found.addr);
  }

  /** This process has these slots, the latest last. */
  set own(own: readonly Known[]) {
    for (const { slot, epoch } of own) this.map.remember(slot, epoch);
    this.map.own = own;
  }

  /** Begins to watch. */
  start(): void {
    this.#isStarted = true;
    this.#changed();
  }

  /** Dials our own address, where this process must be. Never rejects: it complains. */
  async meetItself(): Promise<void> {
    const { addr, connect, log, instance } = this.#options;
    const fields = { addr: formatEndpoint(addr), check: "cluster.advertise, and that no other process listens there" };
    try {
      const conversation = await connect(addr, "call", {});
      const { peer } = conversation;
      conversation.close();
      if (peer.instance === instance) return;
      log.error("another node is at the own address", { ...fields, instance: peer.instance });
      this.map.met(addr, peer.instance);
      this.#changed();
    } catch (error) {
      if (kindOf(error) !== "self") log.error("own address not reached", { ...fields, reason: reasonOf(error) });
    }
  }

  /** Lets go of what is known no more. To be called every second or so. */
  sweep(): void {
    this.map.sweep();
    const instances = new Set(this.map.lives().map(({ life: { instance } }) => instance));
    this.#batches.keep(instances);
    for (const instance of this.#editions.keys()) if (!instances.has(instance)) this.#editions.delete(instance);
    if (this.#isStarted) this.#watches.set(this.map.targets());
  }

  close(): void {
    this.#watches.close();
  }

  #onAnswer(addr: Endpoint, { known, edition, closed, batch, ...facts }: WatchAnswer): void {
    const { instance } = facts.identity;
    this.map.heard(known);
    this.#editions.set(instance, edition);
    if (this.map.answered(addr, facts)) this.#tellUp(addr, facts);
    this.#batches.heard(instance, batch);
    for (const [thread, numbers] of Object.entries(closed)) {
      for (const number of numbers) this.#options.onClosed(Number(thread), number);
    }
    this.#changed();
  }

  #onLost(addr: Endpoint, state: "refused" | "away", reason: string): void {
    const isNew = this.map.lost(addr, state, reason);
    if (isNew) this.#options.log.warning("node not there", { addr: formatEndpoint(addr), state, reason });
    this.#changed();
  }

  #tellUp(addr: Endpoint, { identity: { instance, slot, epoch } }: NodeFacts): void {
    this.#options.log.info("node there", { addr: formatEndpoint(addr), instance, slot, epoch });
  }

  #changed(): void {
    if (this.map.revision === this.#revision) return;
    this.#revision = this.map.revision;
    if (this.#isStarted) this.#watches.set(this.map.targets());
    this.#options.onChange();
  }
}
