import { DIALECTS } from "../../../config.ts";
import type { Endpoint } from "../../../link/link.ts";
import type { Public } from "../../publics.ts";
import { count, list, object, oneOf, optional, text, time, truth } from "../../session/move/shape.ts";
import type { Found } from "../discovery/discovery.ts";
import type { Known, NodeFacts } from "./map/facts.ts";
import type { LivesSnapshot } from "./map/lives.ts";
import type { MapSnapshot } from "./map/node_map.ts";
import type { Place, PlacesSnapshot } from "./map/places.ts";
import type { OwnSnapshot } from "./own/own_lives.ts";
import type { CarriedName, Identity } from "./peers.ts";

/** What goes to a process that goes on as a node, beside its sessions: plain data. */
export type ComingToNode =
  | { kind: "node"; node: NodeSnapshot; ids: unknown }
  /** What others carried to sessions that have gone over, and is closed here: see `ClusterNode.tellClosed`. */
  | { kind: "closed"; closed: CarriedName[] };

/** All that a process is in its cluster, and knows of it: another one goes on as the same node with that. Plain data. */
export interface NodeSnapshot {
  own: OwnSnapshot;
  map: MapSnapshot;
  /** Whether its discovery has told which nodes there are. */
  hasFound: boolean;
  /** When it was so, by its own clock: see `ClusterNodeOptions.now`. */
  at: number;
}

const endpoint = object<Endpoint>({ hostname: text, port: count });
const known = object<Known>({ slot: count, epoch: count, instance: text, addr: endpoint, at: time });
const found = object<Found>({ slot: count, addr: endpoint, epoch: optional(count), instance: optional(text) });
const lives = object<LivesSnapshot>({
  ...{ found: list(found), told: list(known) },
  epochs: list(object<LivesSnapshot["epochs"][0]>({ slot: count, epoch: count })),
});
const places = object<PlacesSnapshot>({
  places: list(object<Place>({
    ...{ addr: endpoint, state: oneOf("up", "unknown", "refused", "away"), since: time },
    ...{ instance: optional(text), error: optional(text) },
  })),
  met: list(object<PlacesSnapshot["met"][0]>({ instance: text, at: list(text) })),
});
const facts = object<NodeFacts>({
  identity: object<Identity>({ instance: text, slot: optional(count), epoch: optional(count) }),
  ...{ role: oneOf("node", "edge"), takesNew: truth, serves: list(text), weight: count, reuseTime: time },
  publics: list(object<Public>({ url: text, dialect: oneOf(...DIALECTS) })),
});
const snapshot = object<NodeSnapshot>({
  own: object<OwnSnapshot>({ instance: text, lives: list(known), isLost: truth }),
  map: object<MapSnapshot>({
    ...{ lives, places },
    facts: list(object<MapSnapshot["facts"][0]>({ facts, at: time })),
  }),
  ...{ hasFound: truth, at: time },
});

const closed = list(object<CarriedName>({ instance: text, thread: count, number: count }));

/** Reads what goes to a process that goes on as a node; `undefined`: it is about its sessions. Throws `ShapeError`. */
export function readComingToNode(value: unknown): ComingToNode | undefined {
  const coming = value as ComingToNode | undefined;
  if (coming?.kind === "node") return { ...coming, node: readNodeSnapshot(coming.node) };
  if (coming?.kind !== "closed") return undefined;
  closed(coming.closed, "closed");
  return coming;
}

/** Reads what another process gave. Throws `ShapeError` when it is nothing of this form. */
export function readNodeSnapshot(value: unknown): NodeSnapshot {
  snapshot(value, "node");
  return value as NodeSnapshot;
}
