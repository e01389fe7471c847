import { type Counters, newCounters } from "./counters.ts";
import type { KcpOptions } from "./options.ts";
import { type Output, Packer } from "./packer.ts";
import { Receiver, type ReceiverSnapshot } from "./receiver.ts";
import {
  ACK,
  ASK,
  commandAt,
  HEADER,
  lengthAt,
  LONGEST_DATAGRAM,
  PUSH,
  snAt,
  TELL,
  tsAt,
  unaAt,
  type Verdict,
  verdictOn,
  windowAt,
} from "./segment.ts";
import { Sender, type SenderSnapshot } from "./sender.ts";
import { WindowProbe, type WindowProbeSnapshot } from "./window_probe.ts";

const packer = new Packer();

export interface KcpStart {
  /** What is added to the clock for ts. */
  epoch: number;
  /** The sn of the first segment, both ways: 0 but in tests. */
  first?: number;
  /**
   * Until the peer has proven where it is, a `una` acknowledges nothing, missing: it does. What it acknowledges is not sent again, and
   * where the ACK that came before it was lost, none would come that proves it.
   */
  mustProve?: boolean;
  /** Counts on, with other machines. */
  counters?: Counters;
}

/** As plain data. The clock of ts is the conversation's own, and goes on; of that of `now` there are only durations, in milliseconds. */
export interface KcpSnapshot {
  options: KcpOptions;
  clock: number;
  sender: SenderSnapshot;
  receiver: ReceiverSnapshot;
  probe: WindowProbeSnapshot;
  isAsked: boolean;
  /** Until there is something to flush, and until segments are to be sent again; missing: there is nothing. */
  flushIn: number | undefined;
  resendIn: number | undefined;
}

/**
 * One end of a KCP conversation: a stream of bytes each way over datagrams that get lost, come late or twice. It is given datagrams and
 * the time, and knows neither sockets nor timers. `now` is in milliseconds of a clock that never goes back; fractions are ignored.
 *
 * KCP has no end: one that is no longer wanted is forgotten.
 */
export class Kcp {
  readonly counters: Counters;
  readonly #conv: number;
  readonly #epoch: number;
  readonly #options: KcpOptions;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #probe = new WindowProbe();
  /** Whether the peer is to be told the window. */
  #isAsked = false;
  /** When there is something to flush but segments to be sent again and questions for the window. */
  #flushAt = Infinity;
  /** When segments are to be sent again. */
  #resendAt = Infinity;
  /** On the clock of ts: what was sent before says nothing of the path, as this end stood still meanwhile. */
  #stoodStillAt: number | undefined;

  constructor(conv: number, options: KcpOptions, start: KcpStart) {
    const { epoch, first = 0, counters = newCounters() } = start;
    this.#conv = conv | 0;
    this.#epoch = epoch;
    this.#options = options;
    this.counters = counters;
    this.#sender = new Sender(options, counters, start);
    this.#receiver = new Receiver(options, counters, first);
  }

  /**
   * One that goes on where another was at its snapshot, which must not be used any more: to its peer both are one. Throws `RangeError`
   * when there can be no such one.
   */
  static restore(conv: number, snapshot: KcpSnapshot, now: number, start: Omit<KcpStart, "epoch" | "first">): Kcp {
    const { options, clock, sender, receiver, probe, isAsked, flushIn, resendIn } = snapshot;
    if (options.mtu <= HEADER || options.mtu > LONGEST_DATAGRAM) throw new RangeError(`an MTU of ${options.mtu}`);
    const kcp = new Kcp(conv, options, { ...start, epoch: clock - Math.floor(now) });
    kcp.#stoodStillAt = clock;
    kcp.#sender.goOnFrom(sender);
    kcp.#receiver.goOnFrom(receiver);
    kcp.#probe.goOnFrom(probe, now);
    kcp.#isAsked = isAsked;
    kcp.#flushAt = flushIn === undefined ? Infinity : now + flushIn;
    kcp.#resendAt = resendIn === undefined ? Infinity : now + resendIn;
    return kcp;
  }

  snapshotAt(now: number): KcpSnapshot {
    const leftOf = (at: number) => at === Infinity ? undefined : Math.max(0, at - now);
    return {
      options: this.#options,
      clock: this.#clock(now),
      sender: this.#sender.snapshot,
      receiver: this.#receiver.snapshot,
      probe: this.#probe.snapshotAt(now),
      isAsked: this.#isAsked,
      flushIn: leftOf(this.#flushAt),
      resendIn: leftOf(this.#resendAt),
    };
  }

  /**
   * A datagram came, of which it copies what it takes. What is "ok" it has taken; of all else, nothing. `isRegular`: it came like this,
   * and was not rebuilt from others, so that it came now, and tells the window of now.
   */
  input(datagram: Uint8Array, now: number, isRegular: boolean): Verdict {
    const verdict = verdictOn(datagram, this.#conv);
    if (verdict !== "ok") return verdict;
    const una = this.#sender.una;
    let echo: number | undefined;
    for (let at = 0; at + HEADER <= datagram.length; at += HEADER + lengthAt(datagram, at)) {
      this.#take(datagram, at, isRegular);
      if (commandAt(datagram, at) === ACK) echo = tsAt(datagram, at);
    }
    const clock = this.#clock(now);
    if (echo !== undefined && isRegular) this.#measure(echo, clock);
    const hasProgress = this.#sender.una !== una;
    if (hasProgress) this.#sender.onProgress();
    this.#probe.onWindow(this.#sender.remoteWindow, now);
    this.#schedule(now, hasProgress);
    return "ok";
  }

  /** Copies what it takes of the bytes, which is `room` at the most: so many. They go with the next flush, which is due at once. */
  send(bytes: Uint8Array): number {
    const taken = this.#sender.send(bytes);
    if (this.#sender.canSend) this.#flushAt = -Infinity;
    return taken;
  }

  /** Asks the peer for its window, with the next flush, which is due at once: who is there answers. */
  ask(now: number): void {
    this.#probe.ask(now);
  }

  /** What the peer may not have goes with the next flush, which is due at once, as if it had not been sent: to whom does not know it. */
  beginAnew(): void {
    this.#sender.beginAnew();
    if (this.#sender.inFlight > 0) this.#flushAt = -Infinity;
  }

  /**
   * Bytes of the stream, as many as lie together, `most` at the most, in a view that holds until the next input; the peer may then send
   * as many more. `undefined`: there are none.
   */
  receive(most = Infinity): Uint8Array | undefined {
    const wasFull = this.#receiver.window <= 0;
    const bytes = this.#receiver.receive(most);
    if (wasFull && this.#receiver.window > 0) {
      this.#isAsked = true;
      this.#flushAt = -Infinity;
    }
    return bytes;
  }

  /** Gives all that is to be sent now to `output`, which must flush no machine, nor throw. */
  flush(now: number, output: Output): void {
    const clock = this.#clock(now);
    const { window, next } = this.#receiver;
    packer.begin({ conv: this.#conv, mtu: this.#options.mtu, window, una: next }, output);
    this.#receiver.flush(packer);
    if (this.#probe.isDue(now)) packer.add(ASK, clock, 0, 0);
    if (this.#isAsked) packer.add(TELL, clock, 0, 0);
    this.#isAsked = false;
    this.#sender.flush(clock, packer);
    packer.end();
    this.counters.out += packer.count;
    this.#resendAt = now + this.#sender.waitAt(clock);
    this.#flushAt = this.#sender.isOvertaken ? now + this.#options.interval : Infinity;
  }

  /**
   * When to flush, on the clock of `now`; -Infinity: at once; Infinity: there is nothing to do. A tick of the interval that flushes what
   * is due before the next tick keeps to it.
   */
  get due(): number {
    const resendAt = this.#sender.inFlight === 0 ? Infinity : this.#resendAt;
    return Math.min(this.#flushAt, resendAt, this.#probe.at);
  }

  /** Bytes that `send` takes now. */
  get room(): number {
    return this.#sender.room;
  }

  /** Bytes that were sent and that the peer may not have. */
  get unacknowledged(): number {
    return this.#sender.held;
  }

  /** Bytes that `receive` has. */
  get readable(): number {
    return this.#receiver.readable;
  }

  /** Whether the peer gave back a ts that was sent to it: then it is where its datagrams say that they come from. */
  get isProven(): boolean {
    return this.#sender.proof.isGiven;
  }

  /** Milliseconds that a segment and its ACK take, smoothed; 0: not known. */
  get roundTrip(): number {
    return this.#sender.roundTrip.smoothed;
  }

  /** The sn before which the peer has all. */
  get una(): number {
    return this.#sender.una >>> 0;
  }

  /** The sn before which all came. */
  get next(): number {
    return this.#receiver.next >>> 0;
  }

  /** Gives back the memory that was taken for more than there is: of one that is silent for a while. */
  trim(): void {
    this.#sender.trim();
    this.#receiver.trim();
  }

  #clock(now: number): number {
    return (this.#epoch + Math.floor(now)) | 0;
  }

  #measure(echo: number, clock: number): void {
    if (this.#stoodStillAt !== undefined && ((echo - this.#stoodStillAt) | 0) < 0) return;
    this.#stoodStillAt = undefined;
    if (((clock - echo) | 0) >= 0) this.#sender.roundTrip.sample((clock - echo) | 0);
  }

  #take(datagram: Uint8Array, at: number, isRegular: boolean): void {
    this.counters.in++;
    const una = unaAt(datagram, at);
    // One that was overtaken tells a window of the past.
    if (isRegular && ((una - this.#sender.una) | 0) >= 0) this.#sender.remoteWindow = windowAt(datagram, at);
    this.#sender.onUna(una);
    const command = commandAt(datagram, at);
    const sn = snAt(datagram, at);
    const ts = tsAt(datagram, at);
    if (command === PUSH) this.#receiver.onPush(sn, ts, datagram, at + HEADER, lengthAt(datagram, at));
    else if (command === ACK) this.#sender.onAck(sn, ts, una);
    else if (command === ASK) this.#isAsked = true;
  }

  /** At once where the peer waits for it, and else so that more goes with it. */
  #schedule(now: number, hasProgress: boolean): void {
    const sender = this.#sender;
    if (sender.canSend || (hasProgress && sender.isOvertaken)) this.#flushAt = -Infinity;
    else if (this.#receiver.hasAcks || this.#isAsked || sender.isOvertaken) {
      this.#flushAt = Math.min(this.#flushAt, now + this.#options.interval);
    }
  }
}
