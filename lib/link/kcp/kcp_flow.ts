import { type MovableFlow, NOBODY, type Sink } from "../flow.ts";
import { joined } from "../joined.ts";
import type { ConversationPlace, RemainsOfKcp } from "./conversation.ts";
import { FecDecoder } from "./fec/decoder.ts";
import { FecEncoder } from "./fec/encoder.ts";
import { FEC_HEADER, FEC_OVERHEAD, kindOf, segmentsOf } from "./fec/fec_frame.ts";
import type { ReedSolomon } from "./fec/reed_solomon.ts";
import { Kcp, type KcpSnapshot, type KcpStart } from "./machine/kcp.ts";
import type { KcpOptions } from "./machine/options.ts";
import { convAt, HEADER, type Verdict } from "./machine/segment.ts";
import type { Ticker, Ticking } from "./ticker.ts";

export interface KcpFlowOptions extends KcpStart {
  conv: number;
  /** With the `mtu` of a whole datagram. */
  kcp: KcpOptions;
  /** Missing: there is no FEC. */
  fec?: ReedSolomon | undefined;
  ticker: Ticker;
  /** Sends a datagram, which it copies. It may be lost. */
  send: (datagram: Uint8Array) => void;
  /** Called once, when this end is closed, or given up. */
  onClose: () => void;
  /**
   * Gives where it is had, and another descriptor of that socket, which is the caller's, and forgets the conversation, which another one
   * goes on with. Throws, and has done nothing, when there is no descriptor. Missing: no other can.
   */
  leave?: (() => { place: ConversationPlace; fd: number }) | undefined;
  now?: () => number;
}

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/**
 * A conversation of KCP as a flow. It has no end of its own: who is not wanted any more is forgotten, and its peer is not told. Who ends
 * this direction is told that the other has ended as well, as soon as the peer has all: nothing else would ever tell.
 */
export class KcpFlow implements MovableFlow, Ticking {
  sink: Sink = NOBODY;
  readonly #options: KcpFlowOptions;
  readonly #kcp: Kcp;
  readonly #encoder: FecEncoder | undefined;
  readonly #decoder: FecDecoder | undefined;
  readonly #now: () => number;
  #isPaused = true;
  #most = 0;
  #isBlocked = false;
  /** Nothing more will be written: that all has arrived is to be told. */
  #isEnding = false;
  #isTelling = false;
  #isClosed = false;
  #error: Error | undefined;
  /** Nothing more will be written, the peer has all, and there is nothing to wait for. */
  #isOver = false;
  #isEndTold = false;
  /** Called once, when the peer is where its datagrams say that they come from; with why not, when it is over before. */
  onProof: ((error?: Error) => void) | undefined;
  /** When anything of the peer came, and when bytes of the stream came. */
  #heardAt: number;
  #fedAt: number;

  /** `from`: what another one was, which this one goes on as, see `giveAway`; throws `RangeError` when there can be no such one. */
  constructor(options: KcpFlowOptions, from?: RemainsOfKcp) {
    const { conv, kcp, fec, now = () => performance.now() } = options;
    this.#options = options;
    this.#now = now;
    this.#heardAt = now() - (from?.conversation.heardFor ?? 0);
    this.#fedAt = now() - (from?.conversation.fedFor ?? 0);
    this.#kcp = from
      ? Kcp.restore(conv, machineOf(from), now(), options)
      : new Kcp(conv, fec ? { ...kcp, mtu: kcp.mtu - FEC_OVERHEAD } : kcp, options);
    this.#encoder = fec && new FecEncoder(fec, from?.conversation.fec?.next);
    this.#decoder = fec && new FecDecoder(fec);
    this.#isEndTold = from?.isOver ?? false;
    if (from?.fault !== undefined) this.#error = new Error(from.fault);
    if (from) this.#schedule();
  }

  get conv(): number {
    return this.#options.conv;
  }

  /** Whether the peer is where its datagrams say that they come from. */
  get isProven(): boolean {
    return this.#kcp.isProven;
  }

  /** Milliseconds since bytes of the stream came; of one that has some which nobody takes, none. */
  get hunger(): number {
    return this.#kcp.readable > 0 ? 0 : this.#now() - this.#fedAt;
  }

  /** Milliseconds since anything of the peer came. */
  get quiet(): number {
    return this.#now() - this.#heardAt;
  }

  /** Milliseconds that a segment and its ACK take; 0: not known. */
  get roundTrip(): number {
    return this.#kcp.roundTrip;
  }

  /** A datagram came from its peer. Gives why it is none, if so. */
  input(datagram: Uint8Array): Verdict | "malformed" {
    if (this.#isClosed) return "ok";
    const now = this.#now();
    let verdict: Verdict | "malformed" = "ok";
    if (!this.#decoder) verdict = this.#kcp.input(datagram, now, true);
    // What is left of another conversation at that address is not to be rebuilt with this one's.
    else if (this.#isOfAnother(datagram)) verdict = "conv";
    else {
      const kind = this.#decoder.input(datagram, now, (segments, isRegular) => {
        const found = this.#kcp.input(segments, now, isRegular);
        if (isRegular) verdict = found;
        else this.#kcp.counters.rebuilt++;
      });
      if (kind === "malformed") verdict = kind;
    }
    if (verdict !== "ok") return verdict;
    this.#heardAt = now;
    if (this.onProof && this.#kcp.isProven) this.#tellProof();
    this.#tell();
    this.#tellRoom();
    this.#schedule();
    return verdict;
  }

  write(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#error) throw this.#error;
    if (this.#isClosed) throw new Error("the connection is closed");
    const taken = bytes.length === 0 ? 0 : this.#kcp.send(bytes);
    this.#isBlocked = taken < bytes.length;
    this.#schedule();
    return taken;
  }

  /** The peer cannot be told: what is above says so. */
  closeWrite(): void {
    this.#isEnding = true;
    this.#isOver = this.isDrained;
    this.#schedule();
  }

  /** Has the peer say something, if it is there. */
  ask(): void {
    this.#kcp.ask(this.#now());
    this.#schedule();
  }

  /** Somebody else is the peer, from whom nothing came yet: what was written goes there. */
  beginAnew(): void {
    this.#kcp.beginAnew();
    this.#schedule();
  }

  get isDrained(): boolean {
    return this.#kcp.unacknowledged === 0;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(most: number): void {
    this.#isPaused = false;
    this.#most = most;
    if (this.#canTell) this.#options.ticker.schedule(this);
  }

  unacknowledged(): number {
    return this.#isClosed ? 0 : this.#kcp.unacknowledged;
  }

  silence(): number {
    return this.#isClosed || this.isDrained ? 0 : this.quiet;
  }

  close(): void {
    if (this.#isClosed) return;
    // What was written goes once more, in case it gets there.
    this.tick(this.#now());
    this.#isClosed = true;
    this.#options.ticker.forget(this);
    this.#options.onClose();
    this.#tellProof(new Error("the connection is closed"));
  }

  reset(): void {
    this.close();
  }

  readonly sharesSocket = true;

  get isCarriedOn(): boolean {
    return !this.#options.leave;
  }

  /** See `MovableFlow`: its descriptor is one of the socket. Of one with FEC the group under way goes without parity, both ways. */
  giveAway(): Promise<{ fd: number; remains: RemainsOfKcp } | undefined> {
    this.sink = NOBODY;
    this.#isPaused = true;
    if (this.#isClosed) return Promise.resolve(undefined);
    try {
      const { fd, place } = this.#options.leave!();
      this.#isClosed = true;
      this.#options.ticker.forget(this);
      return Promise.resolve({ fd, remains: this.#remainsAt(place) });
    } catch {
      this.close(); // out of descriptors: its client comes again
      return Promise.resolve(undefined);
    }
  }

  /** It is over, for that reason, which is told. */
  lose(reason: string | Error): void {
    if (this.#isClosed || this.#error) return;
    this.#error = typeof reason === "string" ? new Error(reason) : reason;
    this.#tellProof(this.#error);
    this.#schedule();
  }

  /** See `Ticking`: bytes that came and were not told are due too. */
  get due(): number {
    if (this.#isClosed) return Infinity;
    return this.#canTell ? -Infinity : this.#kcp.due;
  }

  tick(now: number): void {
    if (this.#isClosed) return;
    const { send } = this.#options;
    this.#tell();
    if (this.#isClosed || this.#kcp.due > now + this.#options.kcp.interval) return;
    this.#kcp.flush(now, (datagram) => this.#encoder ? this.#encoder.encode(datagram, send) : send(datagram));
  }

  /** Gives back memory that is not needed: to be called now and then. */
  trim(): void {
    this.#kcp.trim();
    this.#decoder?.expire(this.#now());
  }

  #remainsAt(place: ConversationPlace): RemainsOfKcp {
    const { conv, fec } = this.#options;
    const now = this.#now();
    return {
      ...{ came: NOTHING, isOver: this.#isEndTold, fault: this.#error?.message },
      ...{ unsent: NOTHING, isEnding: this.#isEnding },
      conversation: {
        conv,
        machine: this.#kcp.snapshotAt(now),
        fec: fec && { data: fec.data, parity: fec.parity, next: this.#encoder!.nextGroup },
        heardFor: now - this.#heardAt,
        fedFor: now - this.#fedAt,
        place,
      },
    };
  }

  #isOfAnother(datagram: Uint8Array): boolean {
    const segments = kindOf(datagram) === "data" ? segmentsOf(datagram.subarray(FEC_HEADER)) : undefined;
    return segments !== undefined && segments.length >= HEADER && convAt(segments, 0) !== (this.conv | 0);
  }

  get #canTell(): boolean {
    const isEnd = this.#error !== undefined || this.#isOver;
    return !this.#isPaused && !this.#isEndTold && (isEnd || this.#kcp.readable > 0);
  }

  #tellProof(error?: Error): void {
    const told = this.onProof;
    this.onProof = undefined;
    told?.(error);
  }

  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    while (this.#canTell && !this.#isClosed) {
      const bytes = this.#kcp.receive(this.#most) as Uint8Array<ArrayBuffer> | undefined;
      if (bytes) {
        this.#fedAt = this.#now();
        this.sink.readable(bytes);
      } else {
        this.#isEndTold = true;
        if (this.#error) this.sink.lost(this.#error);
        else this.sink.ended();
      }
    }
    this.#isTelling = false;
  }

  /** There is room again for what was not taken, or all has arrived. */
  #tellRoom(): void {
    const hasRoom = this.#isBlocked && this.#kcp.room > 0;
    const isDone = this.#isEnding && !this.#isOver && this.isDrained;
    if (this.#isClosed || (!hasRoom && !isDone)) return;
    this.#isBlocked = false;
    this.#isOver ||= isDone;
    this.sink.writable();
  }

  #schedule(): void {
    if (!this.#isClosed) this.#options.ticker.schedule(this);
  }
}

/** What came and was not dealt with is received again, before all else. */
function machineOf({ came, conversation: { machine } }: RemainsOfKcp): KcpSnapshot {
  const { receiver } = machine;
  return came.length === 0 ? machine : { ...machine, receiver: { ...receiver, bytes: joined(came, receiver.bytes) } };
}
