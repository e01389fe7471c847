import type { Public } from "../../publics.ts";
import type { ClusterOptions } from "../../../config/types.ts";
import type { Endpoint } from "../../../link/link.ts";
import type { Log } from "../../../log.ts";
import type { Discovery } from "../discovery/discovery.ts";
import type { Connect } from "./conversation.ts";
import type { LocalHandlers } from "./own/answers.ts";
import type { Own } from "./own/own_lives.ts";
import type { NodeView } from "./peers.ts";

/** What others are told of this process, and what may change with its configuration. */
export interface Offering extends Pick<ClusterOptions, "serves" | "weight"> {
  /** The URLs by which clients reach it. */
  publics: Public[];
  /** How long a session can be without a client, in milliseconds: of all versions the longest. */
  reuseTime: number;
}

export interface ClusterNodeOptions extends Offering {
  cluster: Pick<ClusterOptions, "role" | "discovery">;
  /** By chance, another one for each process. */
  instance: string;
  /** Where peers reach this process. */
  addr: Endpoint;
  /** It is the caller's until `claim`. */
  discovery: Discovery;
  connect: Connect;
  handlers: LocalHandlers;
  log: Log;
  /** Milliseconds since 1970, which never go back, nor jump: what is forgotten goes by them. */
  now: () => number;
  /** A number of [0, 1). */
  random: () => number;
  /** Called each time that what the threads must know of other nodes is something else. */
  onView: (views: NodeView[]) => void;
  /** Called each time that what they must know of this one is something else. */
  onOwn: (own: Own) => void;
  /** A node has closed its end of what the thread carries to it by that number. */
  onClosed: (thread: number, number: number) => void;
}
