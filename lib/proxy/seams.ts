import type { Endpoint } from "../link/link.ts";
import type { Log } from "../log.ts";
import { reservePort } from "./front/listener.ts";
import type { UpstreamSeams } from "./upstream/reach.ts";
import { SharedState } from "./shared_state.ts";
import { Stats } from "./stats.ts";
import type { Gate } from "./front/visitors.ts";

/** Those that serve the same addresses together, each with sessions of its own: threads, or processes. */
export interface Cluster {
  /** Which one this is, from 0. */
  index: number;
  /** Where each takes connections for sessions that are its own; this one too. One alone needs none. */
  peers: Endpoint[];
  /** What a peer has to say first. */
  secret: string;
}

/** What a proxy needs of the world. */
export interface Seams extends UpstreamSeams {
  /** 64 bits from a cryptographic generator. */
  randomU64: () => bigint;
  cluster: Cluster;
  /** The limits that are for each address; missing: they are kept here. */
  gate?: Gate;
  /** The port of an address to listen on, which it asks for: see `reservePort`. */
  portOf: (endpoint: Endpoint) => number;
}

/** The world as it is, for a proxy that is alone. */
export function systemSeams(log: Log): Seams {
  return {
    log,
    stats: new Stats(),
    // Of the same start in every thread.
    now: () => performance.timeOrigin + performance.now(),
    random: Math.random,
    randomU64: () => crypto.getRandomValues(new BigUint64Array(1))[0]!,
    shared: new SharedState(),
    cluster: { index: 0, peers: [], secret: "" },
    portOf: reservePort,
  };
}
