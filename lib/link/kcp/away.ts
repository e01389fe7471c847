import type { DatagramPeer, PassableDatagrams } from "../engine/udp/datagrams.ts";
import { PeerMap } from "../engine/udp/peer_map.ts";
import { Early } from "./early.ts";
import { FEC_HEADER, kindOf, segmentsOf } from "./fec/fec_frame.ts";
import { convAt } from "./machine/segment.ts";

/** In place of the number of a thread: another process, that goes on with all conversations. */
export const SUCCESSOR = -1;

/** A datagram that came to a socket, and from whom: see `PassableDatagrams.bytesOf`. */
export interface Came {
  peer: Uint8Array<ArrayBuffer>;
  datagram: Uint8Array<ArrayBuffer>;
}

type Owner = { conv: number; thread: number };

/**
 * Conversations over a socket that other threads have, or another process: who has which, and what came for each in this round. While it
 * is another process that reads the socket, also what came before anybody had its conversation.
 */
export class Away {
  readonly #give: (thread: number, came: Came[]) => void;
  readonly #ofThreads = new PeerMap<Owner>();
  #ofSuccessor = new PeerMap<Owner>();
  #early: Early | undefined;
  readonly #came = new Map<number, Came[]>();

  /** `give`: gives what came to a thread, by its number, or to `SUCCESSOR`. */
  constructor(give: (thread: number, came: Came[]) => void) {
    this.#give = give;
  }

  /** Another process reads the socket, and gives what comes, until `accept`. */
  expect(): void {
    this.#early = new Early();
  }

  /** The socket is read here, and nobody else goes on with what was had here. */
  accept(): void {
    this.#early = undefined;
    this.#ofSuccessor = new PeerMap();
  }

  /** That thread, or `SUCCESSOR`, has the conversation of a peer. */
  add(peer: DatagramPeer, owner: Owner, socket: PassableDatagrams): void {
    const early = this.take(peer);
    (owner.thread === SUCCESSOR ? this.#ofSuccessor : this.#ofThreads).set(peer, owner);
    for (const datagram of early) this.hold(datagram, peer, socket);
  }

  /** No other has it. Gives what came early. */
  take(peer: DatagramPeer): Uint8Array<ArrayBuffer>[] {
    this.#ofThreads.delete(peer);
    this.#ofSuccessor.delete(peer);
    return this.#early?.take(peer) ?? [];
  }

  /** Holds a copy of what came for one of them, until `flush`, or before anybody had its conversation: gives whether it does. */
  hold(datagram: Uint8Array<ArrayBuffer>, peer: DatagramPeer, socket: PassableDatagrams | undefined): boolean {
    const owner = this.#ofThreads.get(peer) ?? this.#ofSuccessor.get(peer);
    if (!owner || !mayBeOf(datagram, owner.conv)) {
      this.#early?.keep(datagram, peer);
      return this.#early !== undefined;
    }
    const came = this.#came.get(owner.thread) ?? [];
    this.#came.set(owner.thread, came);
    came.push({ peer: socket!.bytesOf(peer), datagram: datagram.slice() });
    return true;
  }

  /** Gives to each what came for it. */
  flush(): void {
    if (this.#came.size === 0) return;
    for (const [thread, came] of this.#came) this.#give(thread, came);
    this.#came.clear();
  }
}

/** Whether a datagram may be of that conversation: of parity only its peer says whose it is. */
function mayBeOf(datagram: Uint8Array, conv: number): boolean {
  const kind = kindOf(datagram);
  if (kind === "parity" || kind === "out of band") return true;
  const segments = kind === "data" ? segmentsOf(datagram.subarray(FEC_HEADER)) : datagram;
  return segments !== undefined && segments.length >= 4 && convAt(segments, 0) === (conv | 0);
}
