import type { Public } from "./publics.ts";
import type { Config } from "../config.ts";
import type { ClusterInfo } from "./cluster_info.ts";
import type { EngineName } from "../config/engines.ts";
import type { Came } from "../link/kcp/away.ts";
import type { KcpGauges } from "../link/kcp/kcp_stats.ts";
import type { Endpoint } from "../link/link.ts";
import type { IdLayout } from "./owner.ts";
import type { SessionInfo, SessionState } from "./session/session_record.ts";
import type { SessionCounts } from "./session/session_table.ts";
import type { StatsValues } from "./stats.ts";
import type { UpstreamInfo } from "./upstream/upstream.ts";

/** How much of everything there is now. */
export interface Gauges extends SessionCounts {
  handshakes: number;
  /** Connections that are carried to other processes. */
  carrying: number;
  draining: boolean;
  /**
   * Of resend caches, and of windows beyond what each session has for nothing: bytes now, at the most so far, and how many went for
   * `limits.cache_bytes`, and how often one shrank.
   */
  cacheBytes: number;
  cacheHighWater: number;
  cachesReleased: number;
  cachesShrunk: number;
  /** Keys of new sessions of version 2 that are being derived, or wait for that. */
  keysWaiting: number;
  kcp: KcpGauges;
  /** Lines of the log that were dropped. */
  logDropped: number;
}

/** Another node, whose session is asked for, does not answer. */
export class NodeAway extends Error {}

/** How sockets are had: by which engine, and `why` not by those that would come before it. */
export interface IoInfo {
  name: EngineName;
  why?: string;
}

/** All that is counted, as of one moment. */
export interface Snapshot {
  stats: StatsValues;
  gauges: Gauges;
  upstreams: UpstreamInfo[];
  io: IoInfo;
  /** Of each thread whether it goes on; of one that does not this has what it said last. */
  threads: boolean[];
  /** Missing: this process is alone. */
  cluster?: ClusterInfo;
}

/** Which sessions are wanted. */
export interface SessionQuery {
  /** At the most so many. */
  limit: number;
  /** What the id, the client, the upstream or the target must contain. */
  filter?: string;
  state?: SessionState;
  /** Of the protocol. */
  version?: 1 | 2;
  /** The slot of the node that has them; `this`: those that are here. */
  node?: number | "this";
}

/** A node of the cluster that did not tell of its sessions, by its slot, and why. */
export interface MissingNode {
  node: number;
  reason: string;
}

/** Sessions that were asked for, those first that began first. */
export interface SessionPage {
  /** How many fit, beyond the limit too. */
  total: number;
  sessions: SessionInfo[];
  /** Missing: other nodes were not asked. */
  missing?: MissingNode[];
}

/**
 * What came of telling the client of a session to move: it was told; there is no such session; it is of version 1, which has no word
 * for that; or its client is away, and cannot be told.
 */
export type MoveOutcome = "moved" | "not there" | "version 1" | "away";

/**
 * What the control plane asks of the data plane. All that is given are plain values: it may be in other threads. What is asked of one
 * session rejects with `NodeAway` when it is another node's, which does not answer.
 */
export interface DataPlane {
  /** Where it listens, in the order of the configuration, with the ports that were had. */
  readonly addresses: Endpoint[];
  /** The threads that have not answered for seconds, by their numbers. */
  readonly hung: number[];
  snapshot(): Promise<Snapshot>;
  sessions(query: SessionQuery): Promise<SessionPage>;
  /** `undefined`: there is none of that id. */
  session(id: number): Promise<SessionInfo | undefined>;
  /** Ends a session at once. Gives whether there was one of that id. */
  endSession(id: number): Promise<boolean>;
  /**
   * Tells the client of a session to resume over another connection, while it keeps this one (protocol: Version 2: Resume, MOVE).
   * `url`: where, at most 255 bytes of UTF-8; empty: at the address in use.
   */
  moveSession(id: number, url: string): Promise<MoveOutcome>;
  /**
   * Tells at most so many clients, whose connections that process carries to here, to come over another one: to a listener here of the
   * same kind that has a `public` URL, or else to one of `elsewhere`, or else at their own address. Each once for a connection. Gives
   * how many were told.
   */
  moveOff(instance: string, most: number, elsewhere?: readonly Public[]): Promise<number>;
  /**
   * Goes by another configuration, all at once: sessions live on, those of listeners that are gone too. The size of the
   * resend cache is that of new sessions. Rejects, and nothing has changed, when an address cannot be had.
   */
  reconfigure(config: Config): Promise<void>;
  /** Begins no new session from now on; the clients of those there are can still resume. */
  drain(): Promise<void>;
  /**
   * Stops listening, lets each client have what its backend sent, and settles when all is closed; what has not come to
   * its end within `shutdown_timeout` is cut.
   */
  stop(): Promise<void>;
}

/** An address that a process listens on, by which another one can go on. */
export interface PassedListener {
  /** As the configuration has it, where the port may be any, and the port that was had. */
  hostname: string;
  port: number;
  hadPort: number;
  /** Whether it is of UDP, whose ports are others than those of TCP; missing: it is not. */
  isKcp?: boolean;
  /** Of its sockets, one for each thread, as a rule. */
  descriptors: number[];
  /** Other nodes connect there, not clients. */
  isForPeers?: true;
}

/**
 * `on`: clients are accepted. `streams`: all but those of KCP, who wait, also those that are there. `paused`: clients wait, and those that
 * are there go on. `still`: those of KCP wait that are there, too. `left`: so still, and all addresses but those of KCP are another process's
 * for good, which may close them. `off`: for good, they are another process's, and whoever is in the middle of a handshake is cut.
 */
export type ListeningState = "on" | "streams" | "paused" | "still" | "left" | "off";

/** Whether clients are accepted then. */
export function isAccepting(state: ListeningState): boolean {
  return state === "on" || state === "streams";
}

/** A data plane whose listeners another process can go on with. */
export interface PassableDataPlane extends DataPlane {
  /** What it listens on, by descriptors that are the caller's. Rejects where there are none to be had: by Deno's sockets. */
  passListeners(): Promise<PassedListener[]>;
  setListening(state: ListeningState): Promise<void>;
}

/** What of a process has gone to another one in a while, and what is to go. */
export interface MovedOut {
  /** For how many milliseconds each session stood still that the other process has. */
  stoodStill: readonly number[];
  /** Why others were not taken, which go on here; and how many the other process took, and does not go on with. */
  refused: readonly string[];
  lost: number;
  /** What else there is, plain data, which the other process is to be given before anything more goes. */
  pieces: readonly unknown[];
  /** All sessions have gone before. */
  isAfterAll?: true;
  /** Sessions that have gone over stand still once more, so many, since then, by `performance.now()`, until this has; missing: none. */
  still?: { sessions: number; since: number } | undefined;
}

/** Another process, as the sessions see it that go there. */
export interface Destination {
  /** How its threads share sessions. */
  layout: IdLayout;
  /** A way to that thread of it: a descriptor, which is the caller's. */
  openLane(thread: number): Promise<number>;
  /** Gets what comes for clients of KCP whose sessions it has. Some of it may be lost. */
  onDatagrams: OnDatagrams;
}

/** What came for clients of KCP whose sessions another process has, to the socket of that cookie. */
export type OnDatagrams = (cookie: number, came: readonly Came[]) => void;

/** A data plane that another process can go on with, from one that it has. */
export interface ReplaceableDataPlane extends PassableDataPlane {
  /** What it is in its cluster now, plain data by which another process starts; missing: it is alone. */
  readonly node?: unknown;
  /** How its threads share sessions. */
  readonly layout: IdLayout;
  /** What is to come by `moveOut`, for `moveIn`. */
  sessionIds(): Promise<unknown>;
  /** Gives its sessions, some at a time, each of which stands still until it is known what came of it. `endMoving` is to be called after it. */
  moveOut(to: Destination): AsyncIterable<MovedOut>;
  /** Gives, after that, the sessions of clients who were in the middle of a handshake; to be asked for again and again, each time as `moveOut`. */
  moveLate(to: Destination): AsyncIterable<MovedOut>;
  /**
   * Nothing more goes. `isGone`: the other process is, and what it has not said it takes goes on here; else that may be the other's. Gives
   * what was not told yet.
   */
  endMoving(isGone: boolean): Promise<MovedOut>;
  /** Takes sessions that another one gives over a lane to that thread, by the descriptor, which is the thread's from now on. */
  takeSessions(thread: number, lane: number): void;
  /**
   * Takes what another one gave, as plain data, by descriptors that it owns when this has settled. Rejects when it does not take that, and
   * nothing has changed.
   */
  moveIn(data: unknown, descriptors: readonly number[]): Promise<void>;
  /** Takes what another one was told by `OnDatagrams`, also for sessions that come after that. */
  hearDatagrams(cookie: number, came: readonly Came[]): void;
  /** Throws when what another one gave with so many descriptors is nothing that it can take. */
  assertMovable(data: unknown, descriptors: number): void;
}

/** Whether another process can go on with what it has. */
export function isReplaceable<T extends DataPlane>(dataPlane: T): dataPlane is T & ReplaceableDataPlane {
  return "sessionIds" in dataPlane;
}

/** How many sessions there are. */
export function countSessions({ sessions }: Gauges): number {
  return sessions.connecting + sessions.attached + sessions.detached;
}

/** Those of `sessions` that are wanted. */
export function pageOf(sessions: Iterable<SessionInfo>, query: SessionQuery): SessionPage {
  const { limit, filter = "", state, version, node } = query;
  const page: SessionPage = { total: 0, sessions: [] };
  for (const session of sessions) {
    if (state !== undefined && session.state !== state) continue;
    if (version !== undefined && session.version !== version) continue;
    if (typeof node === "number" && session.node !== node) continue;
    const { id, client, upstream, target } = session;
    if (![String(id), client, upstream, target].some((text) => text.includes(filter))) continue;
    if (page.total++ < limit) page.sessions.push(session);
  }
  return page;
}

/** One page of those of several that have sessions of their own. */
export function mergePages(pages: readonly SessionPage[], limit: number): SessionPage {
  const sessions = pages.flatMap(({ sessions }) => sessions).sort((a, b) => a.since - b.since || a.id - b.id);
  return { total: pages.reduce((sum, { total }) => sum + total, 0), sessions: sessions.slice(0, limit) };
}
