import type { Endpoint } from "../link/link.ts";

/**
 * How a node is for those who want to reach it. `unknown`: nobody has tried yet; `refused`: nothing listens there, so its sessions are
 * gone; `away`: it does not answer, or there is no way to it, and its sessions may live.
 */
export type NodeState = "up" | "unknown" | "refused" | "away";

/** What was carried to a node. */
export interface CarriedCounts {
  /** Connections that are carried now. */
  connections: number;
  /** That could not be carried, since the start. */
  failures: number;
}

/** What is counted together: of a slot the owner, where it is known. */
export function carriedKey(slot: number, instance = ""): string {
  return `${slot} ${instance}`;
}

/** This process, as others see it. */
export interface DescribedSelf {
  /** Missing: it has none, as an edge. */
  slot?: number;
  epoch?: number;
  instance: string;
  role: "node" | "edge";
  addr: Endpoint;
  takesNew: boolean;
  /** What it had before, and still has sessions of. */
  former: { slot: number; epoch: number }[];
  /** Why it begins no sessions. */
  conflict?: string;
}

/** Another node, or where one should be; times are milliseconds since 1970. */
export interface DescribedNode extends CarriedCounts {
  slot: number;
  epoch?: number;
  instance?: string;
  addr: Endpoint;
  state: NodeState;
  since: number;
  takesNew: boolean;
  weight: number;
  serves: string[];
  /** Why it is not up. */
  error?: string;
}

/** All that a process knows of its cluster, for people and machines. */
export interface ClusterInfo {
  name: string;
  /** How nodes find each other. */
  discovery: "static" | "dns" | "redis";
  /** Where peers connect. */
  listen: Endpoint;
  self: DescribedSelf;
  nodes: DescribedNode[];
  /** What was carried, by slot: to all owners that it has had since the start. */
  carried: Record<number, CarriedCounts>;
  /** The edges that watch this node. */
  edges: { instance: string; addr?: Endpoint; since: number }[];
}
