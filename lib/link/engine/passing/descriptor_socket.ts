import type { Pollable, Poller } from "../poller.ts";
import { encodeAddress, LONGEST_ADDRESS } from "../sockaddr.ts";
import { AF_UNIX, EAGAIN, EINTR } from "../system.ts";
import { DescriptorCalls, type Received } from "./descriptor_calls.ts";

/** Connections that may wait to be accepted. */
const BACKLOG = 8;

/** A descriptor of which is waited for what happens to it; the poller closes it. */
abstract class Waiting implements Pollable {
  protected readonly poller: Poller;
  protected readonly fd: number;
  readonly #place: number;
  #isClosed = false;
  #changed = Promise.withResolvers<void>();

  /** Owns the descriptor, and not the poller. Throws when the system cannot watch it: then it is closed. */
  constructor(poller: Poller, fd: number) {
    this.poller = poller;
    this.fd = fd;
    this.#place = poller.add(fd, this);
  }

  /** What is under way rejects. May be called again. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.poller.close(this.fd, this.#place);
    this.onEvents();
  }

  onEvents(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    this.poller.yieldSoon();
  }

  serve(): void {}

  /** What `attempt` gives once the system does not say any more that there is nothing: `undefined` is a call that failed. */
  protected async until<T>(attempt: () => T | undefined): Promise<T> {
    for (;;) {
      if (this.#isClosed) throw new Error("it is closed");
      const changed = this.#changed.promise; // before the attempt: an event is told once
      const result = attempt();
      if (result !== undefined) return result;
      const errno = this.poller.system.transferErrno;
      if (errno === EINTR) continue;
      if (errno !== EAGAIN) throw this.poller.system.error(errno);
      await changed;
    }
  }
}

/** A connected Unix socket over which bytes go, and descriptors. */
export class DescriptorSocket extends Waiting {
  readonly #calls = DescriptorCalls.open();

  /** Connects to who listens at a path. Throws when it cannot. */
  static connect(poller: Poller, path: string): DescriptorSocket {
    const { system } = poller;
    const to = encodeAddress({ kind: "unix", path }, system);
    const fd = system.socket(AF_UNIX);
    if (fd < 0) throw system.error();
    if (system.connect(fd, to) < 0) {
      const error = system.error();
      system.close(fd);
      throw error;
    }
    return new DescriptorSocket(poller, fd);
  }

  /** The user of the process at the other end; -1: that cannot be told. */
  get peerUser(): number {
    return this.#calls.peerUser(this.fd);
  }

  /**
   * Settles when the system has taken all bytes, of which there is at least one, and copies of the descriptors, which stay the caller's
   * and come with the first bytes, or before them. One at a time. Rejects when the other end is gone, or this one is closed.
   */
  async write(bytes: Uint8Array, descriptors: readonly number[] = []): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.until(() => {
        const count = this.#calls.send(this.fd, bytes.subarray(sent), sent === 0 ? descriptors : []);
        return count < 0 ? undefined : count;
      });
    }
  }

  /** The next that comes; without bytes: the end. One at a time. Rejects when it is broken or closed. */
  read(): Promise<Received> {
    return this.until(() => this.#calls.receive(this.fd));
  }
}

/** A Unix socket that is listened on. */
export class DescriptorListening extends Waiting {
  readonly #from = new Uint8Array(LONGEST_ADDRESS);

  /** Listens at a path, which there must not be. Throws when it cannot. */
  static open(poller: Poller, path: string): DescriptorListening {
    const { system } = poller;
    const address = encodeAddress({ kind: "unix", path }, system);
    const fd = system.socket(AF_UNIX);
    if (fd < 0) throw system.error();
    if (system.bind(fd, address) < 0 || system.listen(fd, BACKLOG) < 0) {
      const error = system.error();
      system.close(fd);
      throw error;
    }
    return new DescriptorListening(poller, fd);
  }

  /** The next that connects, which is the caller's. Rejects when it is closed. */
  async accept(): Promise<DescriptorSocket> {
    const fd = await this.until(() => {
      const fd = this.poller.system.accept(this.fd, this.#from);
      return fd < 0 ? undefined : fd;
    });
    return new DescriptorSocket(this.poller, fd);
  }
}
