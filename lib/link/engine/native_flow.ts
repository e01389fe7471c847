import type { Flow, Sink } from "../flow.ts";
import { NOBODY } from "../pumped_flow.ts";
import type { Pollable, Poller } from "./poller.ts";
import { EAGAIN, EINTR, EPOLLERR, EPOLLHUP, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from "./system.ts";

/** A read that brings less than it could has emptied the socket, but not before an end, or urgent data, which stop it. */
const MORE = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

/** A socket of this process, whosever it is: it is only asked. */
export interface SocketName {
  descriptor: number;
  /** See `System.cookie`: the number may be another's by now. */
  cookie: number;
}

/** The connection that carries on what is written to a flow: whoever asks what is on its way means that one too. */
export interface Onward {
  socket: SocketName;
  /** The most bytes that may be between the two of them. */
  between: number;
}

/**
 * A flow over a socket of the system's, which it owns: its descriptor is closed here, once, or given away, and forgotten then. Each
 * event comes once (edge-triggered), so it keeps in mind what it was told and has not made use of.
 */
export class NativeFlow implements Flow, Pollable {
  sink: Sink = NOBODY;
  /** Called once, when this end closes its descriptor. */
  onClose: (() => void) | undefined;
  /** What carries on elsewhere in this process what is written here. */
  onward: Onward | undefined;
  readonly #poller: Poller;
  readonly #isUnix: boolean;
  #slot: number;
  /** -1: it has none, as it is closed, or has given it away. */
  #fd: number;
  #isClosed = false;
  #most = 0;
  /** There may be something to read. At first the first event tells. */
  #isReadable = false;
  /** Reads are to go on until there is nothing more: no event will tell of it. */
  #isMore = false;
  /** A write took less than it was given. */
  #isBlocked = false;
  #isPaused = true;
  /** It is served in the next round. */
  #isQueued = false;
  #isOver = false;
  /** The first error: the system tells it once, and an end that comes after it is none. */
  #error: Error | undefined;

  /**
   * Owns the descriptor. Throws, and has closed it, when the system cannot watch it. `isConnecting`: `writable` is told when it is
   * connected, or could not be. `isUnix`: it is a Unix socket.
   */
  constructor(poller: Poller, fd: number, { isConnecting = false, isUnix = false } = {}) {
    this.#poller = poller;
    this.#isBlocked = isConnecting;
    this.#isUnix = isUnix;
    this.#slot = poller.add(fd, this);
    this.#fd = fd;
  }

  write(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#error) throw this.#error;
    if (this.#fd < 0) throw new Error("the connection is closed");
    if (bytes.length === 0) return 0;
    const { system } = this.#poller;
    for (;;) {
      const n = system.send(this.#fd, bytes);
      if (n === bytes.length) return n;
      if (n >= 0) return this.#blocked(n);
      const { errno } = system;
      if (errno === EAGAIN) return this.#blocked(0);
      if (errno !== EINTR) throw this.#broken(errno);
    }
  }

  closeWrite(): void {
    if (this.#fd >= 0) this.#poller.system.shutdownWrite(this.#fd);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(most: number): void {
    this.#isPaused = false;
    this.#most = Math.min(most, this.#poller.buffer.length);
    this.#queue();
  }

  /** Of a Unix socket the system would tell how much memory it takes. */
  unacknowledged(): number {
    if (this.#fd < 0 || this.#isUnix) return 0;
    const { system } = this.#poller;
    const own = system.unacknowledged(this.#fd);
    if (!this.onward) return own;
    const { socket: { descriptor, cookie }, between } = this.onward;
    const all = own + system.unacknowledged(descriptor);
    // It is gone, and what was on its way with it: the flow's other end goes too, which will be told.
    if (system.cookie(descriptor) !== cookie) return Infinity;
    return all === 0 ? 0 : all + between;
  }

  silence(): number {
    return this.#fd < 0 ? 0 : this.#poller.system.silence(this.onward?.socket.descriptor ?? this.#fd);
  }

  /** `undefined`: it is closed, or was given away. */
  get socket(): SocketName | undefined {
    return this.#fd < 0 ? undefined : { descriptor: this.#fd, cookie: this.#poller.system.cookie(this.#fd) };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // One that was given away is for its owner to close.
    if (this.#fd < 0) return;
    this.#drop();
    this.onClose?.();
  }

  reset(): void {
    if (this.#fd >= 0) this.#poller.system.setNoLinger(this.#fd);
    this.close();
  }

  /** See `MovableLink.detach`. */
  detach(): number | undefined {
    if (this.#fd < 0) return undefined;
    const fd = this.#fd;
    this.#poller.release(fd, this.#slot);
    this.#fd = -1;
    return fd;
  }

  /** See `MovableLink.attach`. */
  attach(fd: number): void {
    if (this.#isClosed) {
      this.#poller.system.close(fd);
      return this.onClose?.();
    }
    if (this.#fd >= 0) this.#drop();
    // The first events tell how it is.
    [this.#isReadable, this.#isMore, this.#isBlocked, this.#error] = [false, false, false, undefined];
    try {
      this.#slot = this.#poller.add(fd, this);
      this.#fd = fd;
    } catch (error) {
      this.#isClosed = true;
      this.onClose?.();
      throw error;
    }
  }

  /** Why it could not be connected, or broke; `undefined`: it did not. */
  get error(): Error | undefined {
    return this.#error;
  }

  onEvents(flags: number): void {
    const { system } = this.#poller;
    const errno = flags & EPOLLERR ? system.takeError(this.#fd) : 0;
    // Who writes hears of it, also when nothing is read.
    if (errno !== 0) this.#error ??= system.error(errno);
    if (flags & MORE) this.#isMore = true;
    if (flags & ~EPOLLOUT) this.#isReadable = true;
    if (errno !== 0 || (this.#isBlocked && flags & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
      this.#isBlocked = false;
      this.sink.writable();
    }
    if (!this.#isQueued) this.#read();
  }

  serve(): void {
    this.#isQueued = false;
    this.#read();
  }

  /** Once: others are to have their turn before it reads more. */
  #read(): void {
    if (this.#isPaused || !this.#isReadable || this.#fd < 0 || this.#isOver) return;
    const { buffer, system } = this.#poller;
    const n = system.receive(this.#fd, buffer, this.#most);
    if (n > 0) {
      this.#isReadable = n === this.#most || this.#isMore;
      if (this.#isReadable) this.#queue();
      return this.sink.readable(buffer.subarray(0, n));
    }
    const errno = n < 0 ? system.errno : 0;
    if (errno === EINTR) return this.#queue();
    this.#isReadable = false;
    if (errno === EAGAIN) return;
    this.#isOver = true;
    if (n < 0) this.#error ??= system.error(errno);
    if (this.#error) this.sink.lost(this.#error);
    else this.sink.ended();
  }

  #drop(): void {
    this.#poller.close(this.#fd, this.#slot);
    this.#fd = -1;
  }

  #queue(): void {
    if (this.#isQueued || !this.#isReadable || this.#isOver || this.#fd < 0) return;
    this.#isQueued = true;
    this.#poller.again(this);
  }

  #blocked(taken: number): number {
    this.#isBlocked = true;
    return taken;
  }

  /** What came before is still to be read, and then the loss is told. */
  #broken(errno: number): Error {
    this.#error = this.#poller.system.error(errno);
    this.#isReadable = true;
    this.#isMore = true;
    if (!this.#isPaused) this.#queue();
    return this.#error;
  }
}
