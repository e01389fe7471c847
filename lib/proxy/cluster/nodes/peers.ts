import * as v from "valibot";
import { DIALECTS } from "../../../config.ts";
import type { Endpoint } from "../../../link/link.ts";
import type { NodeState } from "../../cluster_info.ts";

/** Who a process of the cluster is. An edge has no slot and no epoch. */
export interface Identity {
  /** Its own, by chance: another one each time it starts. */
  instance: string;
  slot?: number;
  /** It counts on for ever; ids have its lowest bits. */
  epoch?: number;
}

/** Where something is, as another process tells of it. */
export const ENDPOINT = v.object({
  hostname: v.pipe(v.string(), v.regex(/^[A-Za-z0-9._:%-]{1,253}$/)),
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)),
});

/** What `Public`s are, as another process tells of some. */
export const PUBLICS = v.pipe(
  v.array(v.object({ url: v.pipe(v.string(), v.maxBytes(255)), dialect: v.picklist(DIALECTS) })),
  v.maxLength(256),
);

/** What a connection between nodes is for: a client's link, carried; to see that the other is there; what is asked of it. */
export type PeerKind = "carry" | "watch" | "call";

/** What is known of the owner of a slot and an epoch: what a thread goes by that has a connection for it. Plain data. */
export interface NodeView {
  slot: number;
  /** Missing, with `instance`: it was never heard of, only where it should be. */
  epoch?: number;
  instance?: string;
  /** An IP address or a name. */
  addr: Endpoint;
  state: NodeState;
  /** Since when it is so, in milliseconds since 1970. */
  since: number;
  /** Whether it begins sessions, for which targets (see `ClusterOptions.serves`), and how often it is chosen. */
  takesNew: boolean;
  serves: string[];
  weight: number;
}

/** Which of the connections that a process carries is meant: `number` is its thread's. */
export interface CarriedName {
  instance: string;
  thread: number;
  number: number;
}
