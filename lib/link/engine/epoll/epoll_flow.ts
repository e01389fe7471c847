import { EAGAIN, EINTR, EPOLLERR, EPOLLHUP, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from "../system.ts";
import { SocketFlow, type SocketFlowOptions } from "../socket_flow.ts";
import type { Poller } from "../poller.ts";

/** A read that brings less than it could has emptied the socket, but not before an end, or urgent data, which stop it. */
const MORE = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

/** A flow that hears of each event once (edge-triggered), and keeps in mind what it has not made use of. */
export class EpollFlow extends SocketFlow {
  /** There may be something to read. At first the first event tells. */
  #isReadable = false;
  /** Reads are to go on until there is nothing more: no event will tell of it. */
  #isMore = false;
  /** It is served in the next round. */
  #isQueued = false;

  /** Owns the descriptor. Throws, and has closed it, when the system cannot watch it. */
  constructor(poller: Poller, fd: number, options?: SocketFlowOptions) {
    super(poller, options);
    this.take(fd);
  }

  resume(most: number): void {
    this.isPaused = false;
    this.most = Math.min(most, this.poller.buffer.length);
    this.#queue();
  }

  onEvents(flags: number): void {
    const isBroken = this.takeFault(flags);
    if (flags & MORE) this.#isMore = true;
    if (flags & ~EPOLLOUT) this.#isReadable = true;
    // Who writes hears of it, also when nothing is read.
    if (isBroken || (this.isBlocked && flags & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
      this.isBlocked = false;
      this.sink.writable();
    }
    if (!this.#isQueued) this.#read();
  }

  serve(): void {
    this.#isQueued = false;
    this.#read();
  }

  protected take(fd: number): void {
    this.#isReadable = this.#isMore = false;
    this.place = this.poller.add(fd, this);
    this.fd = fd;
  }

  protected blocked(taken: number): number {
    this.isBlocked = true;
    return taken;
  }

  protected broken(): void {
    this.#isReadable = true;
    this.#isMore = true;
    if (!this.isPaused) this.#queue();
  }

  /** Once: others are to have their turn before it reads more. */
  #read(): void {
    if (this.isPaused || this.fd < 0) return;
    if (this.held.length > 0) {
      const bytes = this.takeHeld();
      this.#queue();
      return this.sink.readable(bytes);
    }
    if (!this.#isReadable || this.isOver) return;
    const { buffer, system, share } = this.poller;
    const most = Math.min(this.most, share);
    const n = system.receive(this.fd, buffer, most);
    if (n > 0) {
      this.#isReadable = n === most || this.#isMore;
      if (this.#isReadable) this.#queue();
      return this.sink.readable(buffer.subarray(0, n));
    }
    const errno = n < 0 ? system.transferErrno : 0;
    if (errno === EINTR) return this.#queue();
    this.#isReadable = false;
    if (errno === EAGAIN) return;
    this.isOver = true;
    if (n < 0) this.fault ??= system.error(errno);
    if (this.fault) this.sink.lost(this.fault);
    else this.sink.ended();
  }

  #queue(): void {
    const isIdle = this.held.length === 0 && (!this.#isReadable || this.isOver);
    if (this.#isQueued || isIdle || this.fd < 0) return;
    this.#isQueued = true;
    this.poller.again(this);
  }
}
