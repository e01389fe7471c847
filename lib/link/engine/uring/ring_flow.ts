import { SocketFlow, type SocketFlowOptions, type Unsent } from "../socket_flow.ts";
import { EAGAIN, ECANCELED, EINTR, ENOBUFS, EPOLLRDHUP } from "../system.ts";
import { LONGEST_COPY, LONGEST_READ } from "./buffers.ts";
import type { Operating } from "./place.ts";
import type { RingPoller } from "./ring_poller.ts";

/**
 * Short reads in a row before it reads by the ring again: among long ones there are short ones, and each change of the way costs as much
 * as some messages.
 */
const PATIENCE = 8;

/**
 * A flow whose short messages come and go by the ring. What fills a buffer of the ring is read by calls, with the poller's large
 * one, until there is nothing more; and what is longer than such a buffer is sent by a call, from where it lies.
 */
export class RingFlow extends SocketFlow implements Operating {
  declare protected readonly poller: RingPoller;
  /** What else came then: the end, or why it broke, a negative errno. */
  #end: number | undefined;
  #isReceiving = false;
  /** That is to come to its end. */
  #isStopping = false;
  /** There is more than a buffer of the ring holds: it reads by calls, once no receive is under way. */
  #isFlooded = false;
  /** The other end has ended its direction, or it broke. */
  #isEnding = false;
  /** Above 0: what comes is longer than that, as it seems, so it is read by calls; until so many are short, one after another. */
  #patience = 0;
  /** It is served in the next round. */
  #isQueued = false;
  /** It has asked for room. */
  #isAsking = false;

  /** Owns the descriptor. Throws, and has closed it, when the poller has come to its end. */
  constructor(poller: RingPoller, fd: number, options?: SocketFlowOptions) {
    super(poller, options);
    this.take(fd);
    if (this.isBlocked) this.blocked(0);
  }

  resume(most: number): void {
    this.isPaused = false;
    this.most = Math.min(most, this.poller.buffer.length);
    this.#goOn();
  }

  override closeWrite(): void {
    if (this.fd >= 0) this.poller.closeWrite(this.place);
  }

  /** The other end has ended its direction, or it broke: what there is still is read by calls. */
  onEvents(flags: number): void {
    this.#isEnding = true;
    if (this.takeFault(flags)) {
      // Who writes hears of it, also when nothing is read.
      this.isBlocked = false;
      this.sink.writable();
    }
    // A receive that is under way has told in this round, or never will.
    this.#queue();
  }

  onRoom(flags: number): void {
    this.#isAsking = false;
    if (flags > 0) this.takeFault(flags); // else it was given up
    if (!this.isBlocked) return;
    this.isBlocked = false;
    this.sink.writable();
  }

  onSent(result: number): void {
    if (result < 0) this.fault ??= this.poller.system.error(-result);
    if (!this.isBlocked && result >= 0) return;
    this.isBlocked = false;
    this.sink.writable();
  }

  onBytes(bytes: Uint8Array<ArrayBuffer>, isMore: boolean): void {
    this.#isReceiving = isMore;
    this.#isStopping &&= isMore;
    try {
      if (this.isPaused || this.held.length > 0 || bytes.length > this.most) return this.#hold(bytes);
      // A buffer that is full: there is more, most likely. What comes until the receive has stopped does not change that.
      this.#patience = bytes.length === LONGEST_READ || this.#isStopping ? PATIENCE : 0;
      this.#isFlooded = this.#isLong || this.#isEnding;
      if (this.#isFlooded) this.#stop();
      this.sink.readable(bytes);
    } finally {
      this.#goOn(); // whatever the sink throws
    }
  }

  onNothing(result: number): void {
    this.#isReceiving = this.#isStopping = false;
    if (result > 0 || result === -ENOBUFS) this.#isFlooded = true;
    else if (result !== -EINTR && result !== -EAGAIN && result !== -ECANCELED) this.#ended(result);
    this.#goOn();
  }

  serve(): void {
    this.#isQueued = false;
    if (this.#isEnding && !this.isOver) {
      this.#isFlooded = true;
      this.#stop();
    }
    if (this.isPaused || this.fd < 0 || this.isOver) return;
    try {
      if (this.held.length > 0) this.sink.readable(this.takeHeld());
      else if (this.#end !== undefined) this.#tellEnd();
      else if (this.#isFlooded && !this.#isReceiving) this.#read();
    } finally {
      this.#goOn();
    }
  }

  protected take(fd: number): void {
    this.#isReceiving =
      this.#isStopping =
      this.#isAsking =
        false;
    this.#isFlooded = this.#isEnding = false;
    this.#patience = 0;
    this.#end = undefined;
    this.place = this.poller.addFlow(fd, this);
    this.fd = fd;
    if (!this.isPaused) this.#goOn();
  }

  protected override get unsent(): number {
    return this.poller.unsent(this.place);
  }

  protected override quiet(): Promise<Unsent> {
    return this.poller.quiet(this.place);
  }

  protected override look(): number {
    if (!this.isOver) this.poller.watch(this.place, this.#isEnding ? 0 : EPOLLRDHUP);
    return 0;
  }

  protected blocked(taken: number): number {
    this.isBlocked = true;
    if (this.poller.awaitSent(this.place) || this.#isAsking) return taken;
    this.#isAsking = true;
    this.poller.room(this.place);
    return taken;
  }

  /** A receive that is under way, or the next one, tells of the end. */
  protected broken(): void {}

  protected override send(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.isBlocked) return this.blocked(0);
    // Where much comes, much may go too, and would wait for what is sent by the ring.
    const isShort = bytes.length <= LONGEST_COPY && !this.#isLong;
    if (isShort && this.poller.sendCopy(this.place, bytes)) return bytes.length;
    // What was taken goes first.
    return this.poller.isSending(this.place) ? this.blocked(0) : super.send(bytes);
  }

  get #isLong(): boolean {
    return this.#patience > 0;
  }

  /** Has what comes next told. */
  #goOn(): void {
    if (this.isPaused || this.fd < 0 || this.isOver) return;
    if (this.held.length > 0 || this.#end !== undefined) return this.#queue();
    if (this.#isReceiving) return;
    if (this.#isFlooded) return this.#queue();
    this.#isReceiving = true;
    if (this.#isLong) return this.poller.readiness(this.place);
    if (this.most < LONGEST_READ) return this.poller.receive(this.place, this.most);
    // A receive that goes on may never tell of an end that was there with the last bytes.
    this.poller.watch(this.place, this.#isEnding ? 0 : EPOLLRDHUP);
    this.poller.receiveAll(this.place);
  }

  /** What may not be told now is kept, and no more is asked for. */
  #hold(bytes: Uint8Array<ArrayBuffer>): void {
    const held = new Uint8Array(this.held.length + bytes.length);
    held.set(this.held);
    held.set(bytes, this.held.length);
    this.held = held;
    this.#stop();
  }

  #stop(): void {
    if (!this.#isReceiving || this.#isStopping) return;
    this.#isStopping = true;
    this.poller.stopReceiving(this.place);
  }

  #ended(result: number): void {
    this.#end = result;
    if (result === 0) return;
    this.fault ??= this.poller.system.error(-result);
    // Who writes hears of it, also when nothing is read.
    this.isBlocked = false;
    if (this.isPaused) this.sink.writable();
  }

  #tellEnd(): void {
    this.isOver = true;
    if (this.fault) this.sink.lost(this.fault);
    else this.sink.ended();
  }

  /** Once: others are to have their turn before it reads more. */
  #read(): void {
    const { buffer, system, share } = this.poller;
    const most = Math.min(this.most, share);
    const n = system.receive(this.fd, buffer, most);
    const errno = n < 0 ? system.transferErrno : 0;
    if (n > 0) {
      this.#isFlooded = n === most || this.#isEnding;
      this.#patience = n >= LONGEST_READ ? PATIENCE : Math.max(0, this.#patience - 1);
      this.sink.readable(buffer.subarray(0, n));
    } else if (errno === EAGAIN) this.#isFlooded = false;
    else if (errno !== EINTR) this.#ended(-errno);
  }

  #queue(): void {
    if (this.#isQueued || this.fd < 0) return;
    this.#isQueued = true;
    this.poller.again(this);
  }
}
