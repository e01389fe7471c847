import type { ClusterOptions, Config } from "../../config.ts";
import type { Endpoint } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import type {
  DataPlane,
  ListeningState,
  MoveOutcome,
  PassedListener,
  ReplaceableDataPlane,
  RestingSession,
  SessionPage,
  SessionQuery,
  Snapshot,
} from "../data_plane.ts";
import { reservePort } from "../front/listener.ts";
import { layoutOf } from "../owner.ts";
import type { SessionInfo } from "../session/session_record.ts";
import { AllSessions } from "./all_sessions.ts";
import { Departure } from "./departure.ts";
import { openDiscovery } from "./discovery/open_discovery.ts";
import type { Discovery } from "./discovery/discovery.ts";
import { StaticDiscovery } from "./discovery/static_discovery.ts";
import { ClusterNode } from "./nodes/cluster_node.ts";
import { conversations } from "./nodes/conversations.ts";
import type { PeerIdentity } from "./nodes/hello_forms.ts";
import { type NodeSnapshot, readNodeSnapshot } from "./nodes/node_snapshot.ts";
import type { Identity } from "./nodes/peers.ts";
import { addressOf, offeringOf } from "./offering.ts";
import { type InheritedListeners, type Listeners, startWorkers, type WorkerPool } from "./threads/worker_pool.ts";

/** A data plane as a process needs it, whose main thread this is. */
export type Plane = DataPlane & Pick<WorkerPool, "engine" | "failed" | "hung">;

/** What another process passes to one that goes on with it, which `startDataPlane` begins. */
export interface InheritedPlane {
  listen: InheritedListeners;
  /** Of one that is in a cluster: where peers connect, and see `ReplaceableDataPlane.node`. */
  door?: PassedListener | undefined;
  node?: unknown;
}

/** What is to come to a process that goes on as a node: see `ReplaceableDataPlane.sessionIds`. */
interface ComingNode {
  kind: "node";
  node: NodeSnapshot;
  ids: unknown;
}

/** The data plane of a node of a cluster, or of an edge: threads of its own, and what others are asked. */
export class ClusterPlane implements Plane, ReplaceableDataPlane {
  #config: Config;
  readonly #log: Log;
  readonly #instance: string;
  /** As what it goes on, when nothing later comes. */
  readonly #inherited: NodeSnapshot | undefined;
  readonly #listeners: Listeners;
  /** When its clock was at 0: see `ClusterNodeOptions.now`. */
  #origin = performance.timeOrigin;
  readonly #departure: Departure;
  #discovery!: Discovery;
  #node!: ClusterNode;
  #pool!: WorkerPool;
  #sessions!: AllSessions;
  #addr!: Endpoint;

  /** Use `startDataPlane`. Throws `ShapeError` when it cannot go on with what is inherited. */
  constructor(config: Config, log: Log, inherited?: InheritedPlane) {
    this.#inherited = inherited && readNodeSnapshot(inherited.node);
    this.#listeners = { inherited: inherited?.listen, door: inherited?.door };
    this.#instance = this.#inherited?.own.instance ?? crypto.getRandomValues(new Uint8Array(12)).toHex();
    const listen = config.cluster!.listen;
    const port = inherited?.door?.hadPort ?? reservePort(listen);
    this.#config = { ...config, cluster: { ...config.cluster!, listen: { ...listen, port } } };
    this.#addr = addressOf(this.#cluster);
    this.#log = log;
    this.#departure = new Departure(() => this.#cluster, (most) => this.#moveAway(most));
  }

  get engine(): WorkerPool["engine"] {
    return this.#pool.engine;
  }

  get failed(): Promise<never> {
    return this.#pool.failed;
  }

  get hung(): number[] {
    return this.#pool.hung;
  }

  get addresses(): Endpoint[] {
    return this.#pool.addresses;
  }

  /**
   * Takes a slot, which may be long in coming, and serves; gives whether it does: not when the end comes before the slot. What goes on
   * as another process's node is one from `moveIn` on, or `setListening`. Rejects when a slot cannot be had, or an address.
   */
  async start(end: Promise<unknown>): Promise<boolean> {
    if (this.#inherited) {
      const { instance, lives } = this.#inherited.own;
      const { slot, epoch } = lives.at(-1) ?? {};
      this.#pool = await this.#startPool({
        instance,
        ...(slot !== undefined && epoch !== undefined && { slot, epoch }),
      });
      return true;
    }
    this.#node = await this.#open();
    try {
      const own = await Promise.race([this.#node.claim(), end.then(() => undefined)]);
      if (!own) {
        await this.#node.close();
        return false;
      }
      this.#pool = await this.#startPool(own.identity);
    } catch (error) {
      await this.#node.close();
      throw error;
    }
    await this.#begin();
    return true;
  }

  async snapshot(): Promise<Snapshot> {
    const [snapshot, carried] = await Promise.all([this.#pool.snapshot(), this.#pool.carried()]);
    const { name, discovery, listen } = this.#cluster;
    return { ...snapshot, cluster: { name, discovery, listen, ...this.#node.describe(carried) } };
  }

  sessions(query: SessionQuery): Promise<SessionPage> {
    return this.#sessions.sessions(query);
  }

  session(id: number): Promise<SessionInfo | undefined> {
    return this.#sessions.session(id);
  }

  endSession(id: number): Promise<boolean> {
    return this.#sessions.endSession(id);
  }

  moveSession(id: number, url: string): Promise<MoveOutcome> {
    return this.#sessions.moveSession(id, url);
  }

  moveOff(instance: string, most: number): Promise<number> {
    return this.#pool.moveOff(instance, most, this.#node.elsewhere(instance).toSorted(() => Math.random() - 0.5));
  }

  async reconfigure(config: Config): Promise<void> {
    // Where peers connect is as it was.
    const next = { ...config, cluster: { ...config.cluster!, listen: this.#cluster.listen } };
    await this.#pool.reconfigure(next);
    this.#config = next;
    this.#node.reconfigure(offeringOf(next));
    if (this.#discovery instanceof StaticDiscovery) this.#discovery.reconfigure(next.cluster.nodes);
  }

  /** Balancers see that it is not ready, and then clients whose sessions are elsewhere are told to leave. */
  async drain(): Promise<void> {
    this.#node.drain();
    await this.#pool.drain();
    this.#departure.begin();
  }

  get node(): NodeSnapshot {
    return this.#node.snapshot;
  }

  passListeners(): Promise<PassedListener[]> {
    return this.#pool.passListeners();
  }

  /** What another process has let go of without a word more is served as it was at first. */
  async setListening(state: ListeningState): Promise<void> {
    if (!this.#node) await this.#goOn(this.#inherited!);
    this.#node.isPassedOn = state !== "on";
    await this.#pool.setListening(state);
    if (state === "off") await this.#node.close();
  }

  async sessionIds(): Promise<ComingNode> {
    return { kind: "node", node: this.#node.snapshot, ids: await this.#pool.sessionIds() };
  }

  moveOut(): AsyncGenerator<RestingSession, void, void> {
    return this.#pool.moveOut();
  }

  async moveIn(data: unknown, descriptors: readonly number[]): Promise<void> {
    const coming = data as ComingNode | undefined;
    if (coming?.kind !== "node") return await this.#pool.moveIn(data, descriptors);
    const node = readNodeSnapshot(coming.node);
    await this.#pool.moveIn(coming.ids, descriptors);
    await this.#goOn(node);
  }

  async stop(): Promise<void> {
    this.#departure.end();
    await this.#pool.stop();
    await this.#node.close();
  }

  get #cluster(): ClusterOptions {
    return this.#config.cluster!;
  }

  /** Goes on as the node that another process was, which peers are not to notice. */
  async #goOn(snapshot: NodeSnapshot): Promise<void> {
    this.#origin = snapshot.at - performance.now();
    this.#node = await this.#open();
    this.#node.goOn(snapshot);
    await this.#begin();
  }

  /** Has the threads know what is known, and watches the others. */
  async #begin(): Promise<void> {
    this.#sessions = new AllSessions({ own: this.#pool, node: this.#node, layout: layoutOf(this.#cluster) });
    const { identity, former, takesNew } = this.#node.own;
    for (const pair of former) await this.#pool.become(this.#identityOf({ ...identity, ...pair }), false);
    await this.#pool.become(this.#identityOf(identity), takesNew);
    if (this.#node.hasFound) await this.#pool.know(this.#node.views);
    this.#node.start();
  }

  #startPool(identity: Identity): Promise<WorkerPool> {
    return startWorkers(this.#config, this.#log, {
      ...this.#listeners,
      others: {
        identity: this.#identityOf(identity),
        answer: (from, method, args) => this.#node.answer(from, method, args),
        tellClosed: (via) => this.#node.tellClosed(via),
      },
    });
  }

  async #open(): Promise<ClusterNode> {
    const { reuseTime } = offeringOf(this.#config);
    const keep = this.#config.drainTimeout + reuseTime;
    this.#discovery = await openDiscovery(this.#cluster, { keep, rest: reuseTime, log: this.#log });
    return new ClusterNode({
      cluster: this.#cluster,
      instance: this.#instance,
      addr: this.#addr,
      discovery: this.#discovery,
      connect: conversations({
        options: () => this.#cluster,
        identity: () => this.#identityOf(this.#node.own.identity),
      }),
      handlers: {
        sessions: (query) => this.#pool.sessions(query),
        session: (id) => this.#pool.session(id),
        endSession: (id) => this.#pool.endSession(id),
        moveSession: (id, url) => this.#pool.moveSession(id, url),
        moveCarried: ({ instance, most }) => this.moveOff(instance, most),
        snapshot: () => this.snapshot(),
      },
      log: this.#log,
      now: () => this.#origin + performance.now(),
      random: Math.random,
      onView: (views) => void (this.#pool as WorkerPool | undefined)?.know(views),
      onOwn: (own) => void (this.#pool as WorkerPool | undefined)?.become(this.#identityOf(own.identity), own.takesNew),
      onClosed: (thread, number) => this.#pool.ownerClosed(thread, number),
      ...offeringOf(this.#config),
    });
  }

  #identityOf(identity: Identity): PeerIdentity {
    return { ...identity, role: this.#cluster.role, addr: this.#addr };
  }

  /** Has at most so many clients of other nodes come over another connection than by this process. */
  async #moveAway(most: number): Promise<void> {
    const share = Math.ceil(most / Math.max(1, this.#node.views.length));
    await this.#node.askAll("moveCarried", { instance: this.#instance, most: share });
  }
}

/**
 * Listens as `config` says and serves until `stop`; `undefined` when `end` settles while it waits for a slot of the cluster. `inherited`:
 * nobody is accepted before `setListening` then. Rejects when an address cannot be had, or no slot.
 */
export async function startDataPlane(
  config: Config,
  log: Log,
  { end, inherited }: { end: Promise<unknown>; inherited?: InheritedPlane | undefined },
): Promise<Plane | undefined> {
  if (!config.cluster) return await startWorkers(config, log, { inherited: inherited?.listen });
  const plane = new ClusterPlane(config, log, inherited);
  return await plane.start(end) ? plane : undefined;
}
