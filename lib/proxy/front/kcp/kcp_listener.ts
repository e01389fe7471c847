import type { KcpListen, Listen } from "../../../config.ts";
import type { Engine } from "../../../link/engine/engine.ts";
import { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import type { DatagramSocket } from "../../../link/engine/udp/datagrams.ts";
import type { RemainsOfKcp } from "../../../link/kcp/conversation.ts";
import { ReedSolomon } from "../../../link/kcp/fec/reed_solomon.ts";
import type { Came } from "../../../link/kcp/away.ts";
import { KcpListening, type KcpListeningOptions, type Surroundings } from "../../../link/kcp/kcp_listening.ts";
import type { KcpGauges } from "../../../link/kcp/kcp_stats.ts";
import type { Newcomers } from "../../../link/kcp/newcomers.ts";
import { type ClientLink, type Endpoint, formatEndpoint, type Link } from "../../../link/link.ts";
import { orExplain } from "../../../link/listen.ts";
import type { Log } from "../../../log.ts";
import type { KcpPlace, KcpThreads } from "../../seams.ts";
import type { Stats } from "../../stats.ts";
import { FarSockets } from "./far_sockets.ts";
import { JunkLog } from "./junk_log.ts";

/** Bytes that one conversation may hold of what its client has not got, and of what its session has not taken. */
const SEND_BYTES = 256 * 1024;
const RECEIVE_BYTES = 256 * 1024;

export interface KcpListenerOptions {
  /** Gets each connection, and owns it, with how its listener speaks. Must not throw. */
  onConnection: (link: ClientLink, listen: Listen) => void;
  engine: Engine;
  /** Which of those is this that have such a listener each. */
  thread: number;
  /**
   * Of its sockets, as another process had the address, and owns, which are read from `accept` on; none: it has none. Missing: nobody had
   * the address.
   */
  descriptors?: readonly number[] | undefined;
  /** Missing: there are no others. */
  threads?: KcpThreads | undefined;
  /** Of all such listeners. */
  newcomers: Newcomers;
  log: Log;
  stats: Stats;
}

type OnKcp = Listen & { kcp: KcpListen };

/**
 * Takes conversations of KCP on an address of UDP, which it shares with whoever in this process has it. With an engine that cannot
 * share one the first thread has it alone, and the others take what is carried to them.
 *
 * The system spreads what comes over all sockets of the address by their number, so none may come or go while there are conversations:
 * what another process had is gone on with as it is, several sockets in one thread, or none in another.
 */
export class KcpListener {
  readonly address: Endpoint;
  /** Settles when it listens, if it is to. Rejects when the address cannot be had. */
  readonly ready: Promise<void>;
  readonly #options: KcpListenerOptions;
  #listen: OnKcp;
  readonly #junk: JunkLog;
  /** One for each socket. */
  #listenings: KcpListening[] = [];
  readonly #far: FarSockets | undefined;
  #isOpen = true;
  #isReady = false;

  /** `port`: the one to have. */
  constructor(listen: OnKcp, port: number, options: KcpListenerOptions) {
    this.address = { hostname: listen.hostname, port };
    this.#listen = listen;
    this.#options = options;
    this.#junk = new JunkLog(options.log, formatEndpoint(this.address));
    const { engine, threads } = options;
    const { hostname } = this.address;
    this.#far = threads && new FarSockets({
      ...{ engine, threads, hostname },
      listen: (socket, around) => this.#listenOn(socket, around),
    });
    this.ready = this.#open();
  }

  /** How it speaks. */
  get listen(): Listen {
    return this.#listen;
  }

  /** Whether it listens, if it is to. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Adds what there is now to a sum. */
  addTo(sum: KcpGauges): void {
    for (const listening of this.#all) listening.addTo(sum);
  }

  /**
   * Conversations begin from now on, also when it was closed, and go as `listen` says, which is of the same address; FEC stays as it was.
   */
  reconfigure(listen: Listen): void {
    this.#listen = listen as OnKcp;
    this.isOpen = true;
    for (const listening of this.#all) listening.options = optionsOf(this.#listen.kcp);
  }

  /** Whether conversations begin; those that there are go on in any case. */
  set isOpen(isOpen: boolean) {
    this.#isOpen = isOpen;
    for (const listening of this.#listenings) listening.isOpen = isOpen;
  }

  /** Conversations begin from now on, and what comes is read. */
  accept(): void {
    this.isOpen = true;
    for (const listening of this.#listenings) listening.accept();
  }

  /** Reads nothing, until `accept`: all that comes waits. */
  pause(): void {
    for (const { passable } of this.#listenings) passable?.pause();
  }

  /** Descriptors of its sockets, which belong to `owner` as they are made. Throws where the engine has none to give. */
  duplicate(owner: Descriptors): number[] {
    return this.#listenings.map(({ passable }) => {
      if (passable) return owner.add(passable.duplicate());
      throw new Error("sockets are had by Deno, which passes none");
    });
  }

  /** Goes on with a conversation that was given away, by a descriptor of its socket, which this one owns. Throws when it cannot. */
  adopt(fd: number, remains: RemainsOfKcp): Link {
    using descriptor = new Descriptors([fd]);
    const own = this.#listeningAt(remains.conversation.place.cookie);
    if (own) return own.adopt(remains);
    if (!this.#far) throw new Error("nobody reads the socket of its conversation");
    return this.#far.adopt(remains, () => descriptor.take(1)[0]!);
  }

  /** Another thread, or `SUCCESSOR`, has a conversation over a socket of this one: gives whether there is such a socket. */
  redirect({ cookie, peer, conv }: KcpPlace & { conv: number }, thread: number): boolean {
    const own = this.#listeningAt(cookie);
    own?.giveTo(thread, peer, conv);
    return own !== undefined;
  }

  /** It has it no more. */
  release({ cookie, peer }: KcpPlace): void {
    this.#listeningAt(cookie)?.takeBack(peer);
  }

  /** Takes what came for conversations of this thread to a socket of another one. */
  take(cookie: number, came: readonly Came[]): void {
    this.#far?.take(cookie, came);
  }

  /** Takes what came to a socket of this thread while another process reads that, whichever thread has the conversation. */
  hear(cookie: number, came: readonly Came[]): void {
    this.#listeningAt(cookie)?.take(came);
  }

  /**
   * No conversation begins, and those that there are live on. So the socket stays, also without any: the system spreads what comes over
   * the sockets of all threads, and with one less what is of one thread's conversation would come to another.
   */
  close(): Promise<void> {
    this.isOpen = false;
    return Promise.resolve();
  }

  /** Settles when the socket is closed: conversations that are not over are given up. */
  async stop(): Promise<void> {
    this.isOpen = false;
    await this.ready.catch(() => {});
    await Promise.all([this.#far?.close(), ...this.#listenings.map((listening) => listening.close())]);
  }

  get #all(): KcpListening[] {
    return [...this.#listenings, ...this.#far?.listenings ?? []];
  }

  /** That of a socket that is read here. */
  #listeningAt(cookie: number): KcpListening | undefined {
    return this.#listenings.find(({ passable }) => passable?.cookie === cookie);
  }

  async #open(): Promise<void> {
    const { thread } = this.#options;
    const sockets = await this.#sockets();
    // It is the same for all threads.
    if (thread === 0 && sockets[0]) this.#compareBuffers(sockets[0]);
    this.#listenings = sockets.map((socket) => this.#listenOn(socket));
    if (this.#options.descriptors) { for (const listening of this.#listenings) listening.expect(); }
    this.#isReady = true;
  }

  async #sockets(): Promise<DatagramSocket[]> {
    const { engine, thread, descriptors } = this.#options;
    const { address, address: { hostname } } = this;
    const { kcp: { readBuffer: receiveBuffer, writeBuffer: sendBuffer } } = this.#listen;
    const sizes = { receiveBuffer, sendBuffer };
    if (descriptors) {
      if (!engine.adoptDatagrams) throw new Error("sockets are had by Deno, which takes none");
      return descriptors.map((fd) => engine.adoptDatagrams!(fd, hostname, { use: "read", ...sizes }));
    }
    if (thread > 0 && !engine.canShareDatagrams) return [];
    return [await engine.bindDatagrams(address, { isShared: true, ...sizes })];
  }

  #listenOn(socket: DatagramSocket, around?: Pick<Surroundings, "onGone">): KcpListening {
    const { engine, stats, newcomers, onConnection, threads } = this.#options;
    const { kcp: { fec } } = this.#listen;
    const listening: KcpListening = new KcpListening(socket, {
      ...optionsOf(this.#listen.kcp),
      fec: fec && new ReedSolomon(fec.data, fec.parity),
    }, {
      stats: stats.kcp,
      newcomers,
      soon: (callback) => engine.soon(callback),
      onConnection: (link) => onConnection(link, this.#listen),
      onClose: () => stats.closes++,
      onJunk: (cause, peer) => this.#junk.add(cause, peer),
      onAway: (thread, came) => threads?.give(thread, listening.passable!.cookie, came),
      ...around,
    });
    listening.isOpen = this.#isOpen;
    return listening;
  }

  #compareBuffers({ receiveBuffer, sendBuffer }: DatagramSocket): void {
    const { kcp: { readBuffer, writeBuffer } } = this.#listen;
    const local = formatEndpoint(this.address);
    for (
      const [key, asked, given] of [
        ["net.core.rmem_max", readBuffer, receiveBuffer],
        ["net.core.wmem_max", writeBuffer, sendBuffer],
      ] as const
    ) {
      if (asked === undefined || given === 0 || given >= asked) continue;
      this.#options.log.warning("the system gave a smaller buffer than was asked for", {
        local,
        asked,
        given,
        see: key,
      });
    }
  }
}

function optionsOf(kcp: KcpListen): KcpListeningOptions {
  const { mtu, interval, noDelay: nodelay, resend, congestion, sendWindow, receiveWindow, readTimeout } = kcp;
  const bytes = { sendBytes: SEND_BYTES, receiveBytes: RECEIVE_BYTES };
  return { readTimeout, kcp: { mtu, interval, nodelay, resend, congestion, sendWindow, receiveWindow, ...bytes } };
}

/** A port of UDP that is free on that address: the one that it has, where it asks for one. Throws when it cannot be had. */
export function reserveDatagramPort({ hostname, port }: Endpoint): number {
  const socket = orExplain({ hostname, port }, () => Deno.listenDatagram({ transport: "udp", hostname, port }));
  const { port: had } = socket.addr as Deno.NetAddr;
  socket.close();
  return had;
}
