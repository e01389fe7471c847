import { type MovableFlow, NOBODY, type Remains, type Sink } from "../flow.ts";
import { reasonOf } from "../link.ts";
import type { Pollable, Poller } from "./poller.ts";
import { EAGAIN, EINTR, EPOLLERR } from "./system.ts";

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What was to be sent and was not; and whether the direction is to be ended after that. */
export interface Unsent {
  bytes: Uint8Array<ArrayBuffer>;
  isEnding: boolean;
}

const ALL_SENT: Unsent = { bytes: NOTHING, isEnding: false };

/** A socket of this process, whosever it is: it is only asked. */
export interface SocketName {
  descriptor: number;
  /** See `System.cookie`: the number may be another's by now. */
  cookie: number;
}

/** The connection that carries on what is written to a flow: whoever asks what is on its way means that one too. */
export interface Onward {
  /** Missing: it is no socket of this process. */
  socket?: SocketName | undefined;
  /** The most bytes that may be between the two of them. */
  between: number;
}

export interface SocketFlowOptions {
  /** `writable` is told when it is connected, or could not be. */
  isConnecting?: boolean;
  /** It is a Unix socket. */
  isUnix?: boolean;
}

/**
 * A flow over a socket of the system's, which it owns: its descriptor is closed by the poller, once, or given away, and forgotten
 * then. How it is told what happened is the business of each engine.
 */
export abstract class SocketFlow implements MovableFlow, Pollable {
  sink: Sink = NOBODY;
  /** Called once, when this end closes its descriptor. */
  onClose: (() => void) | undefined;
  /** What carries on elsewhere in this process what is written here. */
  onward: Onward | undefined;
  protected readonly poller: Poller;
  /** -1: it has none, as it is closed, or has given it away. */
  protected fd = -1;
  protected place = -1;
  protected isPaused = true;
  /** What came and may not be told now, or is more than is wanted at once: it is told first. */
  protected held = NOTHING;
  /** The most bytes to be told of at once. */
  protected most = 0;
  /** There was no room for what was written. */
  protected isBlocked = false;
  /** The end, or the loss, was told. */
  protected isOver = false;
  /** The first error: the system tells it once, and an end that comes after it is none. */
  protected fault: Error | undefined;
  readonly #isUnix: boolean;
  #isClosed = false;

  constructor(poller: Poller, { isConnecting = false, isUnix = false }: SocketFlowOptions = {}) {
    this.poller = poller;
    this.isBlocked = isConnecting;
    this.#isUnix = isUnix;
  }

  abstract onEvents(flags: number): void;
  abstract serve(): void;
  abstract resume(most: number): void;

  write(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.fault) throw this.fault;
    if (this.fd < 0) throw new Error("the connection is closed");
    return bytes.length === 0 ? this.look() : this.send(bytes);
  }

  closeWrite(): void {
    if (this.fd >= 0) this.poller.system.shutdownWrite(this.fd);
  }

  /** It closes when it is. */
  get isDrained(): boolean {
    return true;
  }

  pause(): void {
    this.isPaused = true;
  }

  /** Of a Unix socket the system would tell how much memory it takes. */
  unacknowledged(): number {
    if (this.fd < 0 || this.#isUnix) return 0;
    const { system } = this.poller;
    const own = system.unacknowledged(this.fd) + this.unsent;
    if (!this.onward) return own;
    const { socket, between } = this.onward;
    const all = own + (socket ? system.unacknowledged(socket.descriptor) : 0);
    // It is gone, and what was on its way with it: the flow's other end goes too, which will be told.
    if (socket && system.cookie(socket.descriptor) !== socket.cookie) return Infinity;
    return all === 0 ? 0 : all + between;
  }

  silence(): number {
    return this.fd < 0 ? 0 : this.poller.system.silence(this.onward?.socket?.descriptor ?? this.fd);
  }

  /** `undefined`: it is closed, or was given away. */
  get socket(): SocketName | undefined {
    return this.fd < 0 ? undefined : { descriptor: this.fd, cookie: this.poller.system.cookie(this.fd) };
  }

  close(): void {
    this.#end(() => this.poller.close(this.fd, this.place));
  }

  reset(): void {
    if (this.fd >= 0) this.poller.system.setNoLinger(this.fd);
    this.#end(() => this.poller.abort(this.fd, this.place));
  }

  yieldSoon(): void {
    this.poller.yieldSoon();
  }

  get isCarriedOn(): boolean {
    return this.onward !== undefined;
  }

  /** See `MovableFlow`. */
  async giveAway(): Promise<{ fd: number; remains: Remains } | undefined> {
    this.sink = NOBODY;
    this.isPaused = true;
    const { bytes: unsent, isEnding } = this.fd < 0 ? ALL_SENT : await this.quiet();
    const { held: came, isOver, fault } = this;
    this.held = NOTHING;
    const fd = this.detach();
    if (fd === undefined) return undefined;
    return { fd, remains: { came, isOver, fault: fault && reasonOf(fault), unsent, isEnding } };
  }

  /** Goes on where another was, before anything else is done with it; what that had not sent is the caller's to write. */
  goOnFrom({ came, isOver, fault }: Remains): void {
    this.held = came;
    this.isOver = isOver;
    if (fault !== undefined) this.fault = new Error(fault);
  }

  /** See `MovableLink.detach`. Throws when it has bytes that were not told: whoever resumed it is not done with it. */
  detach(): number | undefined {
    if (this.held.length > 0) throw new Error("Cannot give the connection away: bytes of it were not taken");
    if (this.fd < 0) return undefined;
    const { fd } = this;
    this.poller.release(fd, this.place);
    this.fd = -1;
    return fd;
  }

  /** See `MovableLink.attach`. */
  attach(fd: number): void {
    if (this.#isClosed) {
      this.poller.system.close(fd);
      return this.onClose?.();
    }
    if (this.fd >= 0) this.poller.close(this.fd, this.place);
    this.fd = -1;
    this.isBlocked = this.isOver = false;
    this.fault = undefined;
    this.held = NOTHING;
    try {
      this.poller.system.assertSocket(fd);
      this.take(fd);
    } catch (error) {
      this.#isClosed = true;
      this.onClose?.();
      throw error;
    }
  }

  /** Why it could not be connected, or broke; `undefined`: it did not. */
  get error(): Error | undefined {
    return this.fault;
  }

  /** Bytes that were taken, and are not the system's yet. */
  protected get unsent(): number {
    return 0;
  }

  /** Has what is under way come to its end: settles then, or when the flow is closed, with what was not sent. */
  protected quiet(): Promise<Unsent> {
    return Promise.resolve(ALL_SENT);
  }

  /** Of what is held, as much as is wanted at once: to be told now. */
  protected takeHeld(): Uint8Array<ArrayBuffer> {
    const bytes = this.held.subarray(0, this.most);
    this.held = bytes.length < this.held.length ? this.held.subarray(bytes.length) : NOTHING;
    return bytes;
  }

  /** Somebody wants to know whether it broke: the next write tells. Gives 0. */
  protected look(): number {
    return 0;
  }

  /** Owns a descriptor from now on; how it is will be told. Throws, and has closed it, when the system cannot watch it. */
  protected abstract take(fd: number): void;

  /** There was no room for all of it: `writable` is to be told when there is. Gives what was taken. */
  protected abstract blocked(taken: number): number;

  /** What came before is still to be read, and then the loss is told. */
  protected abstract broken(): void;

  /** Keeps the error that these flags of epoll tell of, if so: gives whether there was one. */
  protected takeFault(flags: number): boolean {
    const { system } = this.poller;
    const errno = flags & EPOLLERR ? system.takeError(this.fd) : 0;
    if (errno !== 0) this.fault ??= system.error(errno);
    return errno !== 0;
  }

  /** Writes what there is room for. */
  protected send(bytes: Uint8Array<ArrayBuffer>): number {
    const { system } = this.poller;
    for (;;) {
      const n = system.send(this.fd, bytes);
      if (n === bytes.length) return n;
      if (n >= 0) return this.blocked(n);
      const errno = system.transferErrno;
      if (errno === EAGAIN) return this.blocked(0);
      if (errno === EINTR) continue;
      this.fault = system.error(errno);
      this.broken();
      throw this.fault;
    }
  }

  #end(drop: () => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // One that was given away is for its owner to close.
    if (this.fd < 0) return;
    drop();
    this.fd = -1;
    this.onClose?.();
  }
}
