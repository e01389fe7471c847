import type { ClusterOptions, Config } from "../../config.ts";
import type { Endpoint } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import type { DataPlane, MoveOutcome, SessionPage, SessionQuery, Snapshot } from "../data_plane.ts";
import { reservePort } from "../front/listener.ts";
import { layoutOf } from "../owner.ts";
import { publicsOf } from "../publics.ts";
import type { SessionInfo } from "../session/session_record.ts";
import { AllSessions } from "./all_sessions.ts";
import { Departure } from "./departure.ts";
import { openDiscovery } from "./discovery/open_discovery.ts";
import type { Discovery } from "./discovery/discovery.ts";
import { StaticDiscovery } from "./discovery/static_discovery.ts";
import { ClusterNode } from "./nodes/cluster_node.ts";
import type { Offering } from "./nodes/cluster_node_options.ts";
import { conversations } from "./nodes/conversations.ts";
import type { PeerIdentity } from "./nodes/hello_forms.ts";
import type { Own } from "./nodes/own/own_lives.ts";
import { type InheritedListeners, startWorkers, type WorkerPool } from "./threads/worker_pool.ts";

/** A data plane as a process needs it, whose main thread this is. */
export type Plane = DataPlane & Pick<WorkerPool, "engine" | "failed" | "hung">;

/** The data plane of a node of a cluster, or of an edge: threads of its own, and what others are asked. */
export class ClusterPlane implements Plane {
  #config: Config;
  readonly #log: Log;
  readonly #instance = crypto.getRandomValues(new Uint8Array(12)).toHex();
  readonly #departure: Departure;
  #discovery!: Discovery;
  #node!: ClusterNode;
  #pool!: WorkerPool;
  #sessions!: AllSessions;
  #addr!: Endpoint;

  /** Use `startDataPlane`. */
  constructor(config: Config, log: Log) {
    this.#config = config;
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
   * Takes a slot, which may be long in coming, and serves; gives whether it does: not when the end comes before the slot. Rejects when
   * that cannot be had, or an address.
   */
  async start(end: Promise<unknown>): Promise<boolean> {
    const { listen } = this.#cluster;
    this.#config = { ...this.#config, cluster: { ...this.#cluster, listen: { ...listen, port: reservePort(listen) } } };
    this.#addr = addressOf(this.#cluster);
    const log = this.#log;
    const reuseTime = offeringOf(this.#config).reuseTime;
    const keep = this.#config.drainTimeout + reuseTime;
    this.#discovery = await openDiscovery(this.#cluster, { keep, rest: reuseTime, log });
    this.#node = this.#open();
    try {
      const own = await Promise.race([this.#node.claim(), end.then(() => undefined)]);
      if (!own) {
        await this.#node.close();
        return false;
      }
      this.#pool = await startWorkers(this.#config, log, {
        others: {
          identity: this.#identityOf(own),
          answer: (from, method, args) => this.#node.answer(from, method, args),
          tellClosed: (via) => this.#node.tellClosed(via),
        },
      });
    } catch (error) {
      await this.#node.close();
      throw error;
    }
    this.#sessions = new AllSessions({ own: this.#pool, node: this.#node, layout: layoutOf(this.#cluster) });
    await this.#pool.become(this.#identityOf(this.#node.own), this.#node.own.takesNew);
    if (this.#node.hasFound) await this.#pool.know(this.#node.views);
    this.#node.start();
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

  async stop(): Promise<void> {
    this.#departure.end();
    await this.#pool.stop();
    await this.#node.close();
  }

  get #cluster(): ClusterOptions {
    return this.#config.cluster!;
  }

  #open(): ClusterNode {
    return new ClusterNode({
      cluster: this.#cluster,
      instance: this.#instance,
      addr: this.#addr,
      discovery: this.#discovery,
      connect: conversations({
        options: () => this.#cluster,
        identity: () => this.#identityOf(this.#node.own),
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
      now: () => performance.timeOrigin + performance.now(),
      random: Math.random,
      onView: (views) => void (this.#pool as WorkerPool | undefined)?.know(views),
      onOwn: (own) => void (this.#pool as WorkerPool | undefined)?.become(this.#identityOf(own), own.takesNew),
      onClosed: (thread, number) => this.#pool.ownerClosed(thread, number),
      ...offeringOf(this.#config),
    });
  }

  #identityOf({ identity }: Own): PeerIdentity {
    return { ...identity, role: this.#cluster.role, addr: this.#addr };
  }

  /** Has at most so many clients of other nodes come over another connection than by this process. */
  async #moveAway(most: number): Promise<void> {
    const share = Math.ceil(most / Math.max(1, this.#node.views.length));
    await this.#node.askAll("moveCarried", { instance: this.#instance, most: share });
  }
}

/** Where peers reach this process. */
function addressOf({ advertise, discovery, nodes, slot, listen }: ClusterOptions): Endpoint {
  const listed = discovery === "static" ? nodes.find((node) => node.slot === slot) : undefined;
  const { hostname, port } = advertise ?? listed ?? listen;
  return { hostname, port };
}

function offeringOf(config: Config): Offering {
  const { cluster, scp } = config;
  const { serves, weight } = cluster!;
  return {
    serves,
    weight,
    publics: publicsOf(config),
    reuseTime: Math.max(scp.reuseTime, scp.v2.reuseTime),
  };
}

/**
/**
 * Listens as `config` says and serves until `stop`; `undefined` when `end` settles while it waits for a slot of the cluster. `inherited`:
 * see `startWorkers`; no node of a cluster can have it. Rejects when an address cannot be had, or no slot.
 */
export async function startDataPlane(
  config: Config,
  log: Log,
  { end, inherited }: { end: Promise<unknown>; inherited?: InheritedListeners | undefined },
): Promise<Plane | undefined> {
  if (!config.cluster) return await startWorkers(config, log, { inherited });
  if (inherited) throw new Error("a node of a cluster cannot take over from another process");
  const plane = new ClusterPlane(config, log);
  return await plane.start(end) ? plane : undefined;
}
