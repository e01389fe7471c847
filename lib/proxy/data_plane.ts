import type { Config } from "../config.ts";
import type { EngineName } from "../config/engines.ts";
import type { Endpoint } from "../link/link.ts";
import type { SessionInfo, SessionState } from "./session/session_record.ts";
import type { StatsValues } from "./stats.ts";
import type { UpstreamInfo } from "./upstream/upstream.ts";

/** How much of everything there is now. */
export interface Gauges {
  sessions: Record<SessionState, number>;
  handshakes: number;
  draining: boolean;
  /** Of the sessions there are. */
  bytesReceived: number;
  bytesSent: number;
  /** Of resend caches: bytes now, at the most so far, and how many went for `limits.cache_bytes`, and how often one shrank. */
  cacheBytes: number;
  cacheHighWater: number;
  cachesReleased: number;
  cachesShrunk: number;
  /** Lines of the log that were dropped. */
  logDropped: number;
}

/** How sockets are had: by which engine, and `why` not as it was asked for. */
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
}

/** Which sessions are wanted. */
export interface SessionQuery {
  /** At the most so many. */
  limit: number;
  /** What the id, the client, the upstream or the target must contain. */
  filter?: string;
  state?: SessionState;
}

/** Sessions that were asked for. */
export interface SessionPage {
  /** How many fit, beyond the limit too. */
  total: number;
  sessions: SessionInfo[];
}

/** What the control plane asks of the data plane. All that is given are plain values: it may be in other threads. */
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

/** How many sessions there are. */
export function countSessions({ sessions }: Gauges): number {
  return sessions.connecting + sessions.attached + sessions.detached;
}

/** Those of `sessions` that are wanted. */
export function pageOf(sessions: Iterable<SessionInfo>, { limit, filter = "", state }: SessionQuery): SessionPage {
  const page: SessionPage = { total: 0, sessions: [] };
  for (const session of sessions) {
    if (state !== undefined && session.state !== state) continue;
    const { id, client, upstream, target } = session;
    if (![String(id), client, upstream, target].some((text) => text.includes(filter))) continue;
    if (page.total++ < limit) page.sessions.push(session);
  }
  return page;
}
