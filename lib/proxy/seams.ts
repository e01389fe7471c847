import type { Listen } from "../config.ts";
import type { Addresses } from "../link/addresses.ts";
import type { DialOptions } from "../link/dial.ts";
import type { Engine } from "../link/engine/engine.ts";
import type { Came } from "../link/kcp/away.ts";
import type { ClientLink, Endpoint, Transport } from "../link/link.ts";
import type { Log } from "../log.ts";
import { type Dialect, ScpError } from "../scp/mod.ts";
import type { Assignment } from "./host_slots.ts";
import type { IdLayout, Owner } from "./owner.ts";
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
  /** Counts a session of an address that has begun elsewhere, whatever the limits are. */
  take(address: string): void;
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
  /** What the listener speaks, and over what. */
  dialect: Dialect;
  transport: Transport;
  /** See `ClientLink`. */
  isProven?: boolean;
}

/** A connection that a peer gives to the owner of its session, before which it must not be given on. */
export interface HandedOver {
  preface: Preface;
  /** Bytes that were read from it already: at least the record that it begins with. */
  rest: Uint8Array;
  /** Who gives it: a thread of this process, to whom it belongs; or another process, of whose threads any has taken it. */
  from: "thread" | "node";
}

/** The owner of a session is no more, and the session went with it: its client does no guessing. */
export class OwnerGone extends ScpError {
  constructor(what: string) {
    super(404, what);
  }
}

/**
 * Gives a connection to the `owner` of its session, before the bytes `first`, which were read from it already. Settles when the
 * link is the caller's no more: the owner has what it is made of, or it is carried there, and closes when either end does. Rejects
 * when that cannot be, and then the caller still has the link: with `ScpError` 501 when the owner cannot be reached, so that the client
 * may try again, with 404 when there is no such owner, and with `OwnerGone`.
 */
export type Carry = (link: ClientLink, owner: Owner, preface: Preface, first: Uint8Array) => Promise<void>;

/** Those that serve the same clients together, each with sessions of its own: threads, of one process or of many. */
export interface Cluster {
  /** How an id says whose session it is. */
  layout: IdLayout;
  /** Which one this is, now, for sessions that begin: one that loses its slot gets another. Of an edge only the thread means anything. */
  readonly self: Owner;
  /** Whether it may begin sessions, by its slot; missing: it may. */
  readonly mayBegin?: boolean;
  /** Whether sessions of that owner are here: of this one, as it is or was. */
  owns(owner: Owner): boolean;
  /** Of one that is alone it is never called. */
  carry: Carry;
  /** How many connections it carries to other processes; missing: none. */
  readonly carrying?: number;
  /**
   * Who may begin the session of a new client that names this target, in the order in which they are to be asked; `undefined`: this
   * one; nobody: it cannot begin. Missing: always this one.
   */
  place?: (target: string, isDraining: boolean) => Owner[] | undefined;
}

/** Which conversation of KCP that is: the cookie of its socket, and its client there. */
export interface KcpPlace {
  cookie: number;
  peer: Uint8Array<ArrayBuffer>;
}

/** The threads of this process, of which one reads the socket of a conversation of KCP, and another may have its session. */
export interface KcpThreads {
  /** How many there are. */
  readonly count: number;
  /** Has the thread that reads that socket give what comes of a conversation to this one, until `release`. Gives whether any does. */
  redirect(conversation: KcpPlace & { conv: number }): Promise<boolean>;
  release(place: KcpPlace): void;
  /** Another process has that conversation of this thread: it gets what comes of it. */
  leave(conversation: KcpPlace & { conv: number }): void;
  /** Gives that thread, or `SUCCESSOR`, what came for its conversations. */
  give(thread: number, cookie: number, came: Came[]): void;
}

/**
 * Descriptors by which a thread goes on listening where another process did, for each listener of the configuration: see
 * `ListenerOptions`.
 */
export type Inherited = readonly (readonly number[] | undefined)[];

/** What a proxy needs of the world. */
export interface Seams extends UpstreamSeams {
  /** 64 bits from a cryptographic generator. */
  randomU64: () => bigint;
  cluster: Cluster;
  /** The limits that are for each address; missing: they are kept here. */
  gate?: Gate;
  /** The port of an address to listen on, which it asks for: see `reservePortOf`. */
  portOf: (listen: Listen) => number;
  /** Missing: there are no others. */
  kcpThreads?: KcpThreads;
}
