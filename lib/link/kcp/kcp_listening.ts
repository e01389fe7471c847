import { type DatagramPeer, type DatagramSocket, isPassable, type PassableDatagrams } from "../engine/udp/datagrams.ts";
import { PeerMap } from "../engine/udp/peer_map.ts";
import type { ConversationPlace, RemainsOfKcp } from "./conversation.ts";
import { Away, type Came, SUCCESSOR } from "./away.ts";
import { FEC_HEADER, kindOf, segmentsOf } from "./fec/fec_frame.ts";
import { ReedSolomon } from "./fec/reed_solomon.ts";
import { KcpFlow, type KcpFlowOptions } from "./kcp_flow.ts";
import { KcpLink } from "./kcp_link.ts";
import type { Junk, KcpGauges, KcpStats } from "./kcp_stats.ts";
import type { KcpOptions } from "./machine/options.ts";
import { commandAt, convAt, PUSH, snAt, verdictOn } from "./machine/segment.ts";
import type { Newcomers } from "./newcomers.ts";
import { Ticker } from "./ticker.ts";

/** Milliseconds between two looks at all conversations. */
const LOOK = 1000;

export interface KcpListeningOptions {
  /** Of conversations that begin from now on. */
  kcp: KcpOptions;
  /** Milliseconds without a byte of the stream after which a conversation is lost; 0: it is not. */
  readTimeout: number;
}

/** Who is told, and what counts on. */
export interface Surroundings {
  stats: KcpStats;
  /** Of all sockets of this thread. */
  newcomers: Newcomers;
  /** See `Engine.soon`. */
  soon: (callback: () => void) => void;
  /** Gets each conversation, and owns it. */
  onConnection: (link: KcpLink) => void;
  /** One is over, as this end closed it. */
  onClose: () => void;
  /** One is not had here any more, of that peer: it is over; or it has left for another process, and which it is. */
  onGone?: (peer: DatagramPeer, left?: { conv: number }) => void;
  /** Gets what came for conversations that another thread has, which its number says, or `SUCCESSOR`. */
  onAway?: (thread: number, came: Came[]) => void;
  /** A datagram was dropped: called for each. */
  onJunk: (cause: Junk, peer: DatagramPeer) => void;
}

/**
 * Conversations of KCP with clients, over one socket: each is known by the client's address. One begins with a PUSH whose sn is 0, and
 * with nothing else, so that what is left of one that was forgotten makes no new one.
 */
export class KcpListening {
  /** What holds for conversations that begin from now on. */
  options: KcpListeningOptions;
  /** Whether any begins. Those that there are go on in any case. */
  isOpen = true;
  readonly #socket: DatagramSocket;
  readonly #fec: ReedSolomon | undefined;
  readonly #around: Surroundings;
  readonly #ticker: Ticker;
  readonly #flows = new PeerMap<KcpFlow>();
  readonly #away: Away;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Owns the socket. `fec` is for all conversations that there will be. */
  constructor(
    socket: DatagramSocket,
    { fec, ...options }: KcpListeningOptions & { fec?: ReedSolomon | undefined },
    around: Surroundings,
  ) {
    this.options = options;
    this.#socket = socket;
    this.#fec = fec;
    this.#around = around;
    this.#ticker = new Ticker(around.soon);
    this.#away = new Away((thread, came) => around.onAway?.(thread, came));
    socket.onDatagram = (datagram, peer) => this.#input(datagram, peer);
    socket.onRound = () => {
      this.#ticker.flush();
      this.#away.flush();
    };
  }

  /** Another process reads the socket: what it gives may come before its conversation. Until `accept`. */
  expect(): void {
    this.#away.expect();
  }

  /** What comes is read here, and by nobody else. */
  accept(): void {
    this.#away.accept();
    this.passable?.resume();
  }

  /** Whether there are no conversations. */
  get isEmpty(): boolean {
    return this.#flows.size === 0;
  }

  /** Adds what there is now to a sum. */
  addTo(sum: KcpGauges): void {
    sum.conversations += this.#flows.size;
    for (const { roundTrip } of this.#flows.values()) {
      sum.roundTrips += roundTrip;
      if (roundTrip > 0) sum.measured++;
    }
    const { tooLong, unsent } = this.#socket.losses;
    sum.tooLong += tooLong;
    sum.unsent += unsent;
  }

  /** Its socket, where another process can have that as well. */
  get passable(): PassableDatagrams | undefined {
    return isPassable(this.#socket) ? this.#socket : undefined;
  }

  /** Goes on with a conversation that was had over this socket, and was given away: see `KcpFlow.giveAway`. Throws when it cannot. */
  adopt(remains: RemainsOfKcp): KcpLink {
    const { conversation: { conv, machine, fec, place } } = remains;
    const peer = this.passable!.peerOf(place.peer);
    const code = fec && this.#codeOf(fec);
    const flow = this.#add(
      peer,
      (at) => new KcpFlow({ ...at, conv, kcp: machine.options, fec: code, epoch: 0 }, remains),
    );
    for (const datagram of this.#away.take(peer)) flow.input(datagram);
    return new KcpLink(flow, peer);
  }

  /**
   * Another thread, or `SUCCESSOR`, has a conversation of that peer: it gets what comes, until `takeBack`, or until another one begins
   * there.
   */
  giveTo(thread: number, peer: Uint8Array, conv: number): void {
    const socket = this.passable!;
    this.#away.add(socket.peerOf(peer), { conv, thread }, socket);
    this.#away.flush();
  }

  takeBack(peer: Uint8Array): void {
    this.#away.take(this.passable!.peerOf(peer));
  }

  /** Takes what came where the socket is read: another thread, or process. */
  take(came: readonly Came[]): void {
    for (const { peer, datagram } of came) this.#input(datagram, this.passable!.peerOf(peer));
    this.#ticker.flush();
    this.#away.flush();
  }

  /** Gives up what is not over yet. Settles when the socket is closed. */
  async close(): Promise<void> {
    this.isOpen = false;
    for (const flow of [...this.#flows.values()]) flow.lose("the listener is closed");
    await this.#socket.close();
  }

  #input(datagram: Uint8Array<ArrayBuffer>, peer: DatagramPeer): void {
    const flow = this.#flows.get(peer);
    const verdict = flow?.input(datagram) ?? "unknown";
    if (verdict === "ok") {
      return void (flow!.isProven && this.#around.newcomers.proved(flow!) && this.#socket.keep(peer));
    }
    if (this.#away.hold(datagram, peer, this.passable)) return;
    const first = this.#firstOf(datagram, peer, flow);
    if (typeof first !== "string") return this.#begin(datagram, peer, first);
    this.#around.stats.junk[first]++;
    this.#around.onJunk(first, peer);
  }

  /** The conversation that begins with a datagram, and whether with FEC; or why none does. */
  #firstOf(
    datagram: Uint8Array,
    peer: DatagramPeer,
    before: KcpFlow | undefined,
  ): { conv: number; isFec: boolean } | Junk {
    const kind = kindOf(datagram);
    const isFec = kind !== "plain";
    if (isFec && !this.#fec) return "fec";
    const segments = isFec ? kind === "data" ? segmentsOf(datagram.subarray(FEC_HEADER)) : undefined : datagram;
    if (!segments) return "malformed";
    const conv = segments.length >= 4 ? convAt(segments, 0) : 0;
    const verdict = verdictOn(segments, conv);
    if (verdict !== "ok") return verdict;
    const isBeginning = this.isOpen && commandAt(segments, 0) === PUSH && snAt(segments, 0) === 0;
    if (!isBeginning || conv === before?.conv) return before ? "conv" : "unknown";
    return this.#around.newcomers.mayBegin(peer, conv) ? { conv, isFec } : "full";
  }

  #begin(datagram: Uint8Array, peer: DatagramPeer, { conv, isFec }: { conv: number; isFec: boolean }): void {
    this.#away.take(peer);
    // The address is another client's by now.
    this.#flows.get(peer)?.lose("another conversation has begun at its address");
    const { kcp } = this.options;
    const fec = isFec ? this.#fec : undefined;
    const epoch = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const flow = this.#add(peer, (at) => new KcpFlow({ ...at, conv, kcp, fec, epoch }));
    const link = new KcpLink(flow, peer);
    flow.input(datagram);
    this.#around.onConnection(link);
    this.#around.newcomers.began();
  }

  /** `make`: of what it has of this listening. */
  #add(peer: DatagramPeer, make: (at: Omit<KcpFlowOptions, "conv" | "kcp" | "fec" | "epoch">) => KcpFlow): KcpFlow {
    const flow: KcpFlow = make({
      ticker: this.#ticker,
      counters: this.#around.stats.segments,
      mustProve: true,
      send: (bytes) => void this.#socket.send(bytes, peer),
      onClose: () => {
        this.#around.onClose();
        this.#forget(peer, flow);
      },
      leave: this.passable && (() => this.#leave(peer, flow)),
    });
    this.#flows.set(peer, flow);
    if (flow.isProven) this.#socket.keep(peer);
    else this.#around.newcomers.add(flow);
    this.#timer ??= setInterval(() => this.#look(), LOOK);
    return flow;
  }

  #leave(peer: DatagramPeer, flow: KcpFlow): { place: ConversationPlace; fd: number } {
    const socket = this.passable!;
    const left = {
      place: { at: socket.address, cookie: socket.cookie, peer: socket.bytesOf(peer) },
      fd: socket.duplicate(),
    };
    this.#away.add(peer, { conv: flow.conv, thread: SUCCESSOR }, socket);
    this.#forget(peer, flow, { conv: flow.conv }); // with the last one the socket may be closed
    return left;
  }

  /** Its own, as a rule. Throws `RangeError` when there is none of such numbers. */
  #codeOf({ data, parity, next }: { data: number; parity: number; next: number }): ReedSolomon {
    if (next % (data + parity) !== 0) throw new RangeError("in the middle of a group");
    const own = this.#fec;
    return own?.data === data && own.parity === parity ? own : new ReedSolomon(data, parity);
  }

  #look(): void {
    const { readTimeout } = this.options;
    for (const flow of this.#flows.values()) {
      flow.trim();
      if (readTimeout > 0 && flow.hunger >= readTimeout) flow.lose(`nothing came for ${readTimeout} ms (read_timeout)`);
    }
  }

  /** `left`: it has left for another process; missing: it is over. */
  #forget(peer: DatagramPeer, flow: KcpFlow, left?: { conv: number }): void {
    this.#around.newcomers.forget(flow);
    if (this.#flows.get(peer) === flow) {
      this.#flows.delete(peer);
      this.#around.onGone?.(peer, left);
    }
    if (this.#flows.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#ticker.stop();
  }
}
