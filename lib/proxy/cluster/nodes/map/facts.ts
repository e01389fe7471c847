import { EPOCHS } from "../../../../config/cluster/id_bits.ts";
import type { Public } from "../../../publics.ts";
import type { Endpoint } from "../../../../link/link.ts";
import type { Identity } from "../peers.ts";

/** One life of a slot: which instance it had in an epoch, where peers reach that, and when it took it, in milliseconds since 1970. */
export interface Life {
  slot: number;
  epoch: number;
  instance: string;
  addr: Endpoint;
  /** Missing: only the discovery has told of it. */
  at?: number;
}

/** As nodes tell it to each other. */
export type Known = Required<Life>;

/** What an instance says of itself. */
export interface NodeFacts {
  /** Which life of it is the one that begins sessions; an edge has none. */
  identity: Identity;
  role: "node" | "edge";
  takesNew: boolean;
  serves: string[];
  weight: number;
  /** The URLs by which clients reach it, which they may be told to move to. */
  publics: Public[];
  /** How long a session of it can be without a client, in milliseconds. */
  reuseTime: number;
}

export function keyOf({ slot, epoch, instance }: Life): string {
  return `${slot} ${epoch} ${instance}`;
}

/** Whether ids take two epochs for the same. */
export function areAlike(a: number, b: number): boolean {
  return a % EPOCHS === b % EPOCHS;
}
