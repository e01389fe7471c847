import type { ClusterOptions, Config } from "../../config.ts";
import type { Endpoint } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import type { PassedListener, Snapshot } from "../data_plane.ts";
import { reservePort } from "../front/listener.ts";
import { layoutOf } from "../owner.ts";
import { AllSessions } from "./all_sessions.ts";
import type { Discovery } from "./discovery/discovery.ts";
import { openDiscovery } from "./discovery/open_discovery.ts";
import { StaticDiscovery } from "./discovery/static_discovery.ts";
import { ClusterNode } from "./nodes/cluster_node.ts";
import { conversations } from "./nodes/conversations.ts";
import type { PeerIdentity } from "./nodes/hello_forms.ts";
import { type NodeSnapshot, readNodeSnapshot } from "./nodes/node_snapshot.ts";
import type { Identity } from "./nodes/peers.ts";
import { addressOf, offeringOf } from "./offering.ts";
import { type InheritedListeners, type Listeners, startWorkers, type WorkerPool } from "./threads/worker_pool.ts";

/** What another process passes to one that goes on with it. */
export interface InheritedPlane {
  /** What it listened on for clients; and for peers, and what `ReplaceableDataPlane.node` is, of one that is in a cluster. */
  listen: InheritedListeners;
  door: PassedListener | undefined;
  node: unknown;
}

/** A process as a node of its cluster, or as an edge: what it knows of others, and its threads, which are told of that. */
export class NodeProcess {
  readonly instance: string;
  node!: ClusterNode;
  pool!: WorkerPool;
  /** Those of all nodes. */
  sessions!: AllSessions;
  #config: Config;
  readonly #log: Log;
  readonly #addr: Endpoint;
  readonly #listeners: Listeners;
  /** As what it goes on, when nothing later comes. */
  readonly #inherited: NodeSnapshot | undefined;
  #discovery!: Discovery;
  /** When its clock was at 0: see `ClusterNodeOptions.now`. */
  #origin = performance.timeOrigin;

  /** Throws `ShapeError` when it cannot go on with what is inherited, and when there is no port to have. */
  constructor(config: Config, log: Log, inherited?: InheritedPlane) {
    this.#inherited = inherited && readNodeSnapshot(inherited.node);
    this.#listeners = { inherited: inherited?.listen, door: inherited?.door };
    this.instance = this.#inherited?.own.instance ?? crypto.getRandomValues(new Uint8Array(12)).toHex();
    const { listen } = config.cluster!;
    const port = inherited?.door?.hadPort ?? reservePort(listen);
    this.#config = { ...config, cluster: { ...config.cluster!, listen: { ...listen, port } } };
    this.#addr = addressOf(this.cluster);
    this.#log = log;
  }

  /** With the port that was had. */
  get cluster(): ClusterOptions {
    return this.#config.cluster!;
  }

  /** See `ClusterPlane.start`. */
  async start(end: Promise<unknown>): Promise<boolean> {
    if (this.#inherited) {
      const { instance, lives } = this.#inherited.own;
      const { slot, epoch } = lives.at(-1) ?? {};
      this.pool = await this.#startPool({
        instance,
        ...(slot !== undefined && epoch !== undefined && { slot, epoch }),
      });
      return true;
    }
    this.node = await this.#open();
    try {
      const own = await Promise.race([this.node.claim(), end.then(() => undefined)]);
      if (!own) {
        await this.node.close();
        return false;
      }
      this.pool = await this.#startPool(own.identity);
    } catch (error) {
      await this.node.close();
      throw error;
    }
    await this.#begin();
    return true;
  }

  /** Goes on as the node that another process was, which peers are not to notice; missing: as it was when this one started. */
  async goOn(snapshot = this.#inherited!): Promise<void> {
    this.#origin = snapshot.at - performance.now();
    this.node = await this.#open();
    this.node.goOn(snapshot);
    await this.#begin();
  }

  async reconfigure(config: Config): Promise<void> {
    // Where peers connect is as it was.
    const next = { ...config, cluster: { ...config.cluster!, listen: this.cluster.listen } };
    await this.pool.reconfigure(next);
    this.#config = next;
    this.node.reconfigure(offeringOf(next));
    if (this.#discovery instanceof StaticDiscovery) this.#discovery.reconfigure(next.cluster.nodes);
  }

  async snapshot(): Promise<Snapshot> {
    const [snapshot, carried] = await Promise.all([this.pool.snapshot(), this.pool.carried()]);
    const { name, discovery, listen } = this.cluster;
    return { ...snapshot, cluster: { name, discovery, listen, ...this.node.describe(carried) } };
  }

  /** See `DataPlane.moveOff`. */
  moveOff(instance: string, most: number): Promise<number> {
    return this.pool.moveOff(instance, most, this.node.elsewhere(instance).toSorted(() => Math.random() - 0.5));
  }

  /** Has the threads know what is known, and watches the others. */
  async #begin(): Promise<void> {
    this.sessions = new AllSessions({ own: this.pool, node: this.node, layout: layoutOf(this.cluster) });
    const { identity, former, takesNew } = this.node.own;
    for (const pair of former) await this.pool.become(this.#identityOf({ ...identity, ...pair }), false);
    await this.pool.become(this.#identityOf(identity), takesNew);
    if (this.node.hasFound) await this.pool.know(this.node.views);
    this.node.start();
  }

  #startPool(identity: Identity): Promise<WorkerPool> {
    return startWorkers(this.#config, this.#log, {
      ...this.#listeners,
      others: {
        identity: this.#identityOf(identity),
        answer: (from, method, args) => this.node.answer(from, method, args),
        tellClosed: (via) => this.node.tellClosed(via),
      },
    });
  }

  async #open(): Promise<ClusterNode> {
    const { reuseTime } = offeringOf(this.#config);
    const keep = this.#config.drainTimeout + reuseTime;
    this.#discovery = await openDiscovery(this.cluster, { keep, rest: reuseTime, log: this.#log });
    return new ClusterNode({
      cluster: this.cluster,
      instance: this.instance,
      addr: this.#addr,
      discovery: this.#discovery,
      connect: conversations({
        options: () => this.cluster,
        identity: () => this.#identityOf(this.node.own.identity),
      }),
      handlers: {
        sessions: (query) => this.pool.sessions(query),
        session: (id) => this.pool.session(id),
        endSession: (id) => this.pool.endSession(id),
        moveSession: (id, url) => this.pool.moveSession(id, url),
        moveCarried: ({ instance, most }) => this.moveOff(instance, most),
        snapshot: () => this.snapshot(),
      },
      log: this.#log,
      now: () => this.#origin + performance.now(),
      random: Math.random,
      onView: (views) => void (this.pool as WorkerPool | undefined)?.know(views),
      onOwn: (own) => void (this.pool as WorkerPool | undefined)?.become(this.#identityOf(own.identity), own.takesNew),
      onClosed: (thread, number) => this.pool.ownerClosed(thread, number),
      ...offeringOf(this.#config),
    });
  }

  #identityOf(identity: Identity): PeerIdentity {
    return { ...identity, role: this.cluster.role, addr: this.#addr };
  }
}
