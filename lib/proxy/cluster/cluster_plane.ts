import type { Config } from "../../config.ts";
import type { Came } from "../../link/kcp/away.ts";
import type { Endpoint } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import {
  type DataPlane,
  type Destination,
  isAccepting,
  type ListeningState,
  type MovedOut,
  type MoveOutcome,
  type PassedListener,
  type ReplaceableDataPlane,
  type SessionPage,
  type SessionQuery,
  type Snapshot,
} from "../data_plane.ts";
import type { IdLayout } from "../owner.ts";
import type { SessionInfo } from "../session/session_record.ts";
import { Departure } from "./departure.ts";
import { type InheritedPlane, NodeProcess } from "./node_process.ts";
import { type ComingToNode, type NodeSnapshot, readComingToNode } from "./nodes/node_snapshot.ts";
import { about } from "./threads/moving/moving.ts";
import { startWorkers, type WorkerPool } from "./threads/worker_pool.ts";

/** A data plane as a process needs it, whose main thread this is. */
export type Plane = DataPlane & Pick<WorkerPool, "engine" | "failed" | "hung">;

/** The data plane of a node of a cluster, or of an edge: threads of its own, and what others are asked. */
export class ClusterPlane implements Plane, ReplaceableDataPlane {
  readonly #process: NodeProcess;
  readonly #departure: Departure;

  /** Use `startDataPlane`. Throws as `NodeProcess` does. */
  constructor(config: Config, log: Log, inherited?: InheritedPlane) {
    this.#process = new NodeProcess(config, log, inherited);
    this.#departure = new Departure(() => this.#process.cluster, (most) => this.#moveAway(most));
  }

  get engine(): WorkerPool["engine"] {
    return this.#process.pool.engine;
  }

  get failed(): Promise<never> {
    return this.#process.pool.failed;
  }

  get hung(): number[] {
    return this.#process.pool.hung;
  }

  get addresses(): Endpoint[] {
    return this.#process.pool.addresses;
  }

  /**
   * Takes a slot, which may be long in coming, and serves; gives whether it does: not when the end comes before the slot. What goes on
   * as another process's node is one from `moveIn` on, or `setListening`. Rejects when a slot cannot be had, or an address.
   */
  start(end: Promise<unknown>): Promise<boolean> {
    return this.#process.start(end);
  }

  snapshot(): Promise<Snapshot> {
    return this.#process.snapshot();
  }

  sessions(query: SessionQuery): Promise<SessionPage> {
    return this.#process.sessions.sessions(query);
  }

  session(id: number): Promise<SessionInfo | undefined> {
    return this.#process.sessions.session(id);
  }

  endSession(id: number): Promise<boolean> {
    return this.#process.sessions.endSession(id);
  }

  moveSession(id: number, url: string): Promise<MoveOutcome> {
    return this.#process.sessions.moveSession(id, url);
  }

  moveOff(instance: string, most: number): Promise<number> {
    return this.#process.moveOff(instance, most);
  }

  reconfigure(config: Config): Promise<void> {
    return this.#process.reconfigure(config);
  }

  /** Balancers see that it is not ready, and then clients whose sessions are elsewhere are told to leave. */
  async drain(): Promise<void> {
    this.#process.node.drain();
    await this.#process.pool.drain();
    this.#departure.begin();
  }

  get node(): NodeSnapshot {
    return this.#process.node.snapshot;
  }

  passListeners(): Promise<PassedListener[]> {
    return this.#process.pool.passListeners();
  }

  /** What another process has let go of without a word more is served as it was at first. */
  async setListening(state: ListeningState): Promise<void> {
    if (!this.#process.node) await this.#process.goOn();
    this.#process.node.isPassedOn = !isAccepting(state);
    await this.#process.pool.setListening(state);
    if (state === "off") await this.#process.node.close();
  }

  async sessionIds(): Promise<ComingToNode> {
    return { kind: "node", node: this.#process.node.snapshot, ids: await this.#process.pool.sessionIds() };
  }

  get layout(): IdLayout {
    return this.#process.pool.layout;
  }

  async *moveOut(to: Destination): AsyncGenerator<MovedOut, void, void> {
    yield* this.#process.pool.moveOut(to);
    yield this.#closed;
  }

  async *moveLate(to: Destination): AsyncGenerator<MovedOut, void, void> {
    let isAny = false;
    for await (const moved of this.#process.pool.moveLate(to)) {
      isAny ||= moved.stoodStill.length > 0;
      yield moved;
    }
    if (isAny) yield this.#closed;
  }

  endMoving(isGone: boolean): Promise<MovedOut> {
    return this.#process.pool.endMoving(isGone);
  }

  takeSessions(thread: number, lane: number): void {
    this.#process.pool.takeSessions(thread, lane);
  }

  get #closed(): MovedOut {
    return { ...about({ kind: "closed", closed: this.#process.node.closed }), isAfterAll: true };
  }

  assertMovable(data: unknown, descriptors: number): void {
    if (!readComingToNode(data)) this.#process.pool.assertMovable(data, descriptors);
  }

  async moveIn(data: unknown, descriptors: readonly number[]): Promise<void> {
    const coming = readComingToNode(data);
    if (coming?.kind === "closed") return coming.closed.forEach((name) => this.#process.node.tellClosed(name));
    await this.#process.pool.moveIn(coming ? coming.ids : data, descriptors);
    if (coming) await this.#process.goOn(coming.node);
  }

  hearDatagrams(cookie: number, came: readonly Came[]): void {
    this.#process.pool.hearDatagrams(cookie, came);
  }

  async stop(): Promise<void> {
    this.#departure.end();
    await this.#process.pool.stop();
    await this.#process.node.close();
  }

  /** Has at most so many clients of other nodes come over another connection than by this process. */
  async #moveAway(most: number): Promise<void> {
    const share = Math.ceil(most / Math.max(1, this.#process.node.views.length));
    await this.#process.node.askAll("moveCarried", { instance: this.#process.instance, most: share });
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
