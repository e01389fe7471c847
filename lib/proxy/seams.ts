import type { Addresses } from "../link/addresses.ts";
import type { DialOptions } from "../link/dial.ts";
import type { Engine } from "../link/engine/engine.ts";
import type { ClientLink, Endpoint } from "../link/link.ts";
import type { Log } from "../log.ts";
import type { Dialect } from "../scp/mod.ts";
import type { Assignment } from "./host_slots.ts";
import type { SharedState } from "./shared_state.ts";
import type { Refusal, Stats } from "./stats.ts";

/** What upstreams need of the world. */
export interface UpstreamSeams {
  /** Opens connections. */
  engine: Engine;
  log: Log;
  stats: Stats;
  /** Milliseconds, from any start. */
  now: () => number;
  /** A number of [0, 1), for the choice by weight, and of an address. */
  random: () => number;
  /** What all threads know of hosts. */
  shared: SharedState;
  /** Says which slots of it the hosts of a configuration have: see `HostSlots`. */
  assignSlots: (keys: ReadonlySet<string>) => Assignment;
  /** See `DialOptions`. */
  lookup?: NonNullable<DialOptions["lookup"]>;
}

/** What reaching a host takes. */
export interface ReachSeams extends UpstreamSeams {
  lookup: NonNullable<DialOptions["lookup"]>;
  /** How the addresses of names are, as far as this thread knows. */
  addresses: Addresses;
}

/** What limits go by that are for each address; it may be in another thread. */
export interface Gate {
  /** Counts a session of an address, unless it may not begin another: then why. */
  begin(address: string): Refusal | undefined | Promise<Refusal | undefined>;
  /** Counts a session of an address off again. */
  end(address: string): void;
  /** Why an address may not resume. */
  refusesResume(address: string): Refusal | undefined | Promise<Refusal | undefined>;
  /** Counts a refused resume of an address. */
  resumeFailed(address: string): void;
}

/** What a peer must know of a connection that it did not accept itself. */
export interface Preface {
  /** The client, and where it connected to. */
  remote: Endpoint;
  local: Endpoint;
  /** What the listener speaks. */
  dialect: Dialect;
}

/**
 * Gives a connection to the `owner` of its session, before the bytes `first`, which were read from it already. Settles when the
 * link is the caller's no more: the owner has what it is made of, or it is carried there, and closes when either end does. Rejects
 * with `ScpError` 501 when the owner cannot be reached, and then the caller still has the link: the client may try again.
 */
export type Carry = (link: ClientLink, owner: number, preface: Preface, first: Uint8Array) => Promise<void>;

/** Those that serve the same addresses together, each with sessions of its own: threads. */
export interface Cluster {
  /** Which one this is, from 0. */
  index: number;
  /** How many they are. */
  size: number;
  /** Of one that is alone it is never called. */
  carry: Carry;
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
