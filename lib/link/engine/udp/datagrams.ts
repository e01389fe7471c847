import type { Endpoint } from "../../link.ts";

/** The most bytes of a datagram that is taken, or sent. */
export const LONGEST_DATAGRAM = 2048;

export interface DatagramOptions {
  /**
   * Bytes that the system is to take, at the most, that are not read, and that are not on their way yet; missing: as it sees fit. It
   * may give less, or, where that cannot be told, take no notice.
   */
  receiveBuffer?: number | undefined;
  sendBuffer?: number | undefined;
}

export interface BindOptions extends DatagramOptions {
  /**
   * Whether other sockets of the same user may have the address too, one a thread: then the system spreads what comes, all that one
   * peer sends to one of them.
   */
  isShared: boolean;
}

/** Of a socket that another thread, or process, has, or had. */
export interface AdoptOptions extends DatagramOptions {
  /** What it is for here: who reads begins with `resume`; who sends hears nothing. */
  use: "read" | "send";
}

/**
 * Who sends datagrams to an address of ours, and how to answer: from that address. The same one may be another object each time, with
 * the same key: as many as somebody likes can be forged, so none is kept unless it is asked for.
 */
export interface DatagramPeer {
  /** Of both addresses, and of no others: no text to be shown. */
  readonly key: string;
  readonly remote: Endpoint;
  /** Where it sends to: on a wildcard address the one it asked for, where that can be told. */
  readonly local: Endpoint;
}

/** Datagrams that were dropped, since the socket was opened. */
export interface DatagramLosses {
  /** Came with more than `LONGEST_DATAGRAM` bytes. */
  readonly tooLong: number;
  /** The system did not take, as it had no room, or as it may not or cannot send there. */
  readonly unsent: number;
}

/** A socket of UDP. Whatever is sent may be lost, come twice, or late. */
export interface DatagramSocket {
  /** With the port that was had. */
  readonly address: Endpoint;
  /** Whether others may have it too: that cannot be had everywhere. */
  readonly isShared: boolean;
  /** What the system gave, to be compared with what it was asked for; 0: that cannot be told. */
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
  readonly losses: DatagramLosses;
  /** Called with each datagram that came, which may be empty: the bytes are the callee's until it returns. */
  onDatagram: (bytes: Uint8Array<ArrayBuffer>, peer: DatagramPeer) => void;
  /** Called after some datagrams that came at once: what is sent then goes at once too. */
  onRound: (() => void) | undefined;
  /**
   * Copies a datagram, which goes with the others of this round. Gives whether it does, as far as is known: the system has no room
   * for more at times.
   */
  send(bytes: Uint8Array, peer: DatagramPeer): boolean;
  /** That one will send much: it is the same object from now on, as a rule. */
  keep(peer: DatagramPeer): void;
  /** Sends what it can of what is to be sent, without waiting. Settles when the address is free again. May be called again. */
  close(): Promise<void>;
}

/** One whose socket another thread, or process, can have as well: what comes is whoever reads it first's. */
export interface PassableDatagrams extends DatagramSocket {
  /** Which socket of the system it is, by whatever descriptor, in whichever process. */
  readonly cookie: number;
  /** Another descriptor of it, which is the caller's. Throws when there is none left. */
  duplicate(): number;
  /** Reads nothing, until `resume`: what comes waits with the system, as far as that has room. */
  pause(): void;
  resume(): void;
  /** A peer as bytes, and one that was another's as bytes, of the same socket. Throws `RangeError` when they are none of a peer. */
  bytesOf(peer: DatagramPeer): Uint8Array<ArrayBuffer>;
  peerOf(bytes: Uint8Array): DatagramPeer;
}

/** Whether an engine made it that can do so. */
export function isPassable(socket: DatagramSocket): socket is PassableDatagrams {
  return "duplicate" in socket;
}

/** One that sends to one address, and hears from nobody else. */
export interface ConnectedDatagrams extends DatagramSocket {
  readonly peer: DatagramPeer;
  /** Called when nobody takes there what was sent, or it cannot be sent there, where the system tells: that is no end, it may change. */
  onRefused: ((error: Error) => void) | undefined;
}
