import type { DatagramPeer } from "../engine/udp/datagrams.ts";
import { PeerMap } from "../engine/udp/peer_map.ts";

/** Datagrams at most that wait for their conversations: of more the last are lost, as datagrams may be. */
const MOST = 1024;

/** What another process read, and gave, for conversations that it has given as well, and that have not come yet. */
export class Early {
  readonly #datagrams = new PeerMap<Uint8Array<ArrayBuffer>[]>();
  #size = 0;

  /** Keeps a copy of one. */
  keep(datagram: Uint8Array<ArrayBuffer>, peer: DatagramPeer): void {
    if (this.#size === MOST) return;
    this.#size++;
    const before = this.#datagrams.get(peer);
    if (before) before.push(datagram.slice());
    else this.#datagrams.set(peer, [datagram.slice()]);
  }

  /** Those of a peer, once. */
  take(peer: DatagramPeer): Uint8Array<ArrayBuffer>[] {
    const datagrams = this.#datagrams.get(peer) ?? [];
    this.#datagrams.delete(peer);
    this.#size -= datagrams.length;
    return datagrams;
  }
}
