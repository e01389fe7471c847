import type { SocketAddress } from "../dial.ts";
import type { EngineName } from "../../config/engines.ts";
import type { Remains } from "../flow.ts";
import type { ClientLink, Endpoint, Link } from "../link.ts";
import type { DescriptorSocket } from "./passing/descriptor_socket.ts";
import type { AdoptOptions, BindOptions, ConnectedDatagrams, DatagramOptions } from "./udp/datagrams.ts";
import type { DatagramSocket, PassableDatagrams } from "./udp/datagrams.ts";

/** When the system looks whether the other end of a silent connection is there still, in milliseconds. */
export interface KeepAlive {
  /** Of silence, before the first probe; 0: all is as the system is set up. */
  idle: number;
  /** From one probe to the next. */
  interval: number;
  /** That may stay unanswered: then the connection is lost. */
  probes: number;
}

/** What the proxy has by default, in its configuration, and everything else has. */
export const KEEP_ALIVE: KeepAlive = { idle: 60_000, interval: 20_000, probes: 3 };

/** What holds for a TCP connection. Nothing waits for more to come (`TCP_NODELAY`), whatever else does. */
export interface TcpOptions {
  /** Missing: it does not look. An engine that cannot be told more does it as the system is set up. */
  keepAlive?: KeepAlive | undefined;
  /** About how many bytes the system takes that are not read; missing, and where an engine cannot be told: as it sees fit. */
  receiveBuffer?: number | undefined;
}

/** A connection over a socket. */
export interface SocketLink extends Link {
  /** Called once, when this end closes it. */
  onClose: (() => void) | undefined;
  /** As `close`, so that the other end sees a reset; where that cannot be had it sees an end. */
  reset(): void;
}
export type AcceptedLink = SocketLink & ClientLink;

/**
 * A connection over a descriptor, which another link can go on over, in whichever thread of the process. Nothing may be under way
 * when it goes or comes, and all that came must have been read by `read`.
 */
export interface MovableLink extends AcceptedLink {
  /**
   * Gives its descriptor to the caller, who owns it from now on; it is watched no more, and this link can but be closed, which the
   * connection does not notice, or go on by `attach`. `undefined`: it has none, as it is closed.
   */
  detach(): number | undefined;
  /**
   * Goes on over a descriptor, which it owns from now on, in place of the one that it has, if so: that is closed. One that was
   * closed meanwhile closes it. Throws when the system cannot watch it: then it is closed, and the link as well.
   */
  attach(fd: number): void;
}

/** Whether an engine made it that can do so, and nothing is between, as TLS. */
export function isMovable<T extends Link>(link: T): link is T & MovableLink {
  return "detach" in link;
}

/** Who hears of each connection, which it owns, and of each failure, which is waited out for `retry_ms`. */
export interface Accepting {
  onConnection: (link: AcceptedLink) => void;
  onFailure: (failure: { reason: string; retry_ms: number }) => void;
}

export interface ListenOptions {
  /** Connections that may wait to be accepted. An engine that cannot be told has one of its own. */
  backlog: number;
  /** Whether others of the same user may listen there too: then the system spreads what connects. */
  isShared: boolean;
  /** Clients come from `accept` on: until then the address is had, and nobody waits there. For an engine that has `adoptListening`. */
  isLater?: boolean;
  tcp: TcpOptions;
}

/** An address that is listened on: clients wait until `accept`. */
export interface Listening {
  /** With the port that was had. */
  readonly address: Endpoint;
  /** Of connections accepted from now on. */
  tcp: TcpOptions;
  /**
   * Accepts until it is closed. A failure, of which the usual one is to be out of descriptors, is waited out, each in a row twice as
   * long. A client that was gone before it was accepted is none: others wait behind it.
   */
  accept(accepting: Accepting): void;
  /** Connections that were accepted live on. Settles when the address is free again. */
  close(): Promise<void>;
}

/** One whose socket can be another process's as well: what waits there to be accepted waits for either. */
export interface PassableListening extends Listening {
  /** Another descriptor of its socket, which is the caller's. Throws when there is none left. */
  duplicate(): number;
  /** Accepts nothing, until `accept` is called again: clients wait. */
  pause(): void;
}

/** Whether an engine made it that can do so. */
export function isPassable(listening: Listening): listening is PassableListening {
  return "duplicate" in listening;
}

export interface ConnectOptions extends TcpOptions {
  /** Gives it up. */
  signal?: AbortSignal | undefined;
}

/** How sockets are had: by the C library, or by Deno. */
export interface Engine {
  readonly name: Exclude<EngineName, "auto">;
  /** Why it serves nobody any more, which it has reported. Missing: it does. */
  readonly failure?: Error | undefined;
  /** Listens on an address. Throws when it cannot be had, why, in one sentence. */
  listen(endpoint: Endpoint, options: ListenOptions): Listening;
  /**
   * Goes on listening by a descriptor, which another process had, and which is the listening's from now on; `hostname`: as the
   * configuration has it. Nothing of the socket changes before `accept`. Throws when it is none. Missing: this engine cannot.
   */
  adoptListening?(fd: number, hostname: string, options: Pick<ListenOptions, "backlog" | "tcp">): PassableListening;
  /** Opens a connection to an IP address or a Unix socket. The caller owns the link. Rejects with why it failed, and when it is given up. */
  connect(address: SocketAddress, options: ConnectOptions): Promise<SocketLink>;
  /** Whether several threads can each have a socket of UDP at one address: see `BindOptions`. */
  readonly canShareDatagrams: boolean;
  /** Opens a socket for whoever sends to an address. The caller owns it. Rejects when it cannot be had, why, in one sentence. */
  bindDatagrams(endpoint: Endpoint, options: BindOptions): Promise<DatagramSocket>;
  /**
   * The same by a descriptor, of a socket that another thread, or process, has, or had: it is the socket's from now on. `hostname`: as
   * the configuration has it. Throws, and has closed it, when it is none. Missing: this engine cannot.
   */
  adoptDatagrams?(fd: number, hostname: string, options: AdoptOptions): PassableDatagrams;
  /** Opens one for an IP address, whether anybody takes what is sent there or not. The caller owns it. Rejects with why it cannot be had. */
  connectDatagrams(endpoint: Endpoint, options: DatagramOptions): Promise<ConnectedDatagrams>;
  /**
   * Goes on over the descriptor of a connection that was given away, see `MovableFlow`, which it owns from now on. `remote`: the other
   * end, as is known. The caller owns the link. Throws when the system cannot watch it: then it is closed. Missing: it cannot.
   */
  adopt?(fd: number, remains: Remains, remote: Endpoint): AcceptedLink;
  /**
   * A Unix socket over which descriptors go, by one of its own, which is the socket's from now on. The caller owns it. Throws when the
   * system cannot watch it: then it is closed. Missing: there is none.
   */
  adoptSocket?(fd: number): DescriptorSocket;
  /**
   * What other threads say is heard soon when they ring a bell, whose far end this is, see `MessageBell`: it stays the caller's. Once.
   * Throws when the system cannot watch it. Missing: it is heard soon without.
   */
  hearMessages?(bell: number): void;
  /** Calls back in the next round of events. */
  soon(callback: () => void): void;
  /** Settles when it holds nothing any more. What is open is its owner's, and is to be closed before. */
  close(): Promise<void>;
}
