import type { DatagramPeer, PassableDatagrams } from "../engine/udp/datagrams.ts";
import { PeerMap } from "../engine/udp/peer_map.ts";
import { FEC_HEADER, kindOf, segmentsOf } from "./fec/fec_frame.ts";
import { convAt } from "./machine/segment.ts";

/** A datagram that came to a socket, and from whom: see `PassableDatagrams.bytesOf`. */
export interface Came {
  peer: Uint8Array<ArrayBuffer>;
  datagram: Uint8Array<ArrayBuffer>;
}

/** Conversations over a socket that other threads have: who has which, and what came for each thread in this round. */
export class Away {
  readonly #give: (thread: number, came: Came[]) => void;
  readonly #conversations = new PeerMap<{ conv: number; thread: number }>();
  readonly #came = new Map<number, Came[]>();

  /** `give`: gives what came to a thread, by its number. */
  constructor(give: (thread: number, came: Came[]) => void) {
    this.#give = give;
  }

  /** That thread has the conversation of a peer. */
  add(peer: DatagramPeer, conv: number, thread: number): void {
    this.#conversations.set(peer, { conv, thread });
  }

  delete(peer: DatagramPeer): void {
    this.#conversations.delete(peer);
  }

  /** Takes what came of one of them, a copy, for `flush`: gives whether it is of one. */
  take(datagram: Uint8Array, peer: DatagramPeer, socket: PassableDatagrams | undefined): boolean {
    const away = this.#conversations.get(peer);
    if (!away || !mayBeOf(datagram, away.conv)) return false;
    const came = this.#came.get(away.thread) ?? [];
    this.#came.set(away.thread, came);
    came.push({ peer: socket!.bytesOf(peer), datagram: datagram.slice() });
    return true;
  }

  /** Gives to each thread what came for it. */
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
