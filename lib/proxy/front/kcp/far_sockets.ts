import type { Engine } from "../../../link/engine/engine.ts";
import type { DatagramPeer, PassableDatagrams } from "../../../link/engine/udp/datagrams.ts";
import type { RemainsOfKcp } from "../../../link/kcp/conversation.ts";
import type { KcpLink } from "../../../link/kcp/kcp_link.ts";
import type { Came } from "../../../link/kcp/away.ts";
import type { KcpListening, Surroundings } from "../../../link/kcp/kcp_listening.ts";
import type { KcpThreads } from "../../seams.ts";

export interface FarSocketsOptions {
  engine: Engine;
  /** As the configuration has it. */
  hostname: string;
  threads: KcpThreads;
  /** Makes one that takes conversations over a socket. */
  listen: (socket: PassableDatagrams, around: Pick<Surroundings, "onGone">) => KcpListening;
}

/**
 * Conversations of this thread whose datagrams come to sockets that other threads read, as after an upgrade to another number of
 * threads: those give what comes to this one, which answers by descriptors of its own of the same sockets.
 */
export class FarSockets {
  readonly #options: FarSocketsOptions;
  /** By the cookies of the sockets. */
  readonly #listenings = new Map<number, KcpListening>();

  constructor(options: FarSocketsOptions) {
    this.#options = options;
  }

  get listenings(): Iterable<KcpListening> {
    return this.#listenings.values();
  }

  /**
   * Goes on with a conversation, by a descriptor of its socket, which `take` gives where it is needed, and which is this one's then. It is
   * lost when no thread reads that socket. Throws when it cannot, and has then closed what it took.
   */
  adopt(remains: RemainsOfKcp, take: () => number): KcpLink {
    const { conv, place: { cookie, peer } } = remains.conversation;
    const listening = this.#listenings.get(cookie) ?? this.#open(cookie, take());
    let link: KcpLink;
    try {
      link = listening.adopt(remains);
    } catch (error) {
      this.#closeIfEmpty(cookie, listening);
      throw error;
    }
    this.#options.threads.redirect({ cookie, peer, conv }).catch(() => false).then((isRead) => {
      if (!isRead) link.carriedBy.lose("no thread reads the socket of its conversation");
    });
    return link;
  }

  /** Takes what came to such a socket. */
  take(cookie: number, came: readonly Came[]): void {
    this.#listenings.get(cookie)?.take(came);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#listenings.values()].map((listening) => listening.close()));
  }

  #open(cookie: number, fd: number): KcpListening {
    const { engine, hostname, threads, listen } = this.#options;
    const socket = engine.adoptDatagrams!(fd, hostname, { use: "send" });
    const onGone = (peer: DatagramPeer, left?: { conv: number }) => {
      const place = { cookie, peer: socket.bytesOf(peer) };
      if (left) threads.leave({ ...place, ...left });
      else threads.release(place);
      this.#closeIfEmpty(cookie, listening);
    };
    const listening = listen(socket, { onGone });
    listening.isOpen = false;
    this.#listenings.set(cookie, listening);
    return listening;
  }

  #closeIfEmpty(cookie: number, listening: KcpListening): void {
    if (!listening.isEmpty) return;
    this.#listenings.delete(cookie);
    void listening.close();
  }
}
