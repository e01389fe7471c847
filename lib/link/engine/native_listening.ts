import type { Endpoint } from "../link.ts";
import { FIRST_PAUSE, LONGEST_PAUSE } from "../accept.ts";
import type { Accepting, KeepAlive, ListenOptions, PassableListening, TcpOptions } from "./engine.ts";
import { NativeLink } from "./native_link.ts";
import { DescriptorCalls } from "./passing/descriptor_calls.ts";
import type { Pollable, Poller } from "./poller.ts";
import { decodeEndpoint, encodeAddress, familyOf, LONGEST_ADDRESS } from "./sockaddr.ts";
import { CLIENT_IS_GONE, EAGAIN, EINTR, SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET } from "./system.ts";
import { keepAliveOf, tune } from "./tune.ts";

/** Connections accepted at once: others are to have their turn. */
const MOST_AT_ONCE = 64;

/** Wildcards: who connected to one of these connected to an address that only the connection tells. */
const ANY = ["0.0.0.0", "::"];

/** A listening socket of the system's, which it owns. */
export class NativeListening implements PassableListening, Pollable {
  readonly address: Endpoint;
  /** The same, as an IP address. */
  readonly #local: Endpoint;
  readonly #poller: Poller;
  readonly #backlog: number;
  readonly #from = new Uint8Array(LONGEST_ADDRESS);
  readonly #asSystem: KeepAlive;
  #tcp: TcpOptions;
  #fd: number;
  /** Where it is watched; missing: it is not. */
  #place: number | undefined;
  #accepting: Accepting | undefined;
  /** Clients may be waiting. */
  #isReadable = false;
  #pause = FIRST_PAUSE;
  /** Until then it accepts nothing. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Listens on an address. `ip`: that of the host. With `isLater` clients come from `accept` on, though nobody else can have the address.
   * Throws the system's error when it cannot be had.
   */
  static open(poller: Poller, ip: string, { hostname, port }: Endpoint, options: ListenOptions): NativeListening {
    const { system } = poller;
    const address = encodeAddress({ kind: "tcp", hostname: ip, port }, system);
    const fd = system.socket(familyOf(address));
    if (fd < 0) throw system.error();
    system.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.isShared) system.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (system.bind(fd, address) < 0) {
      const error = system.error();
      system.close(fd);
      throw error;
    }
    const listening = new NativeListening(poller, fd, hostname, options);
    if (!options.isLater) listening.#begin();
    return listening;
  }

  /** Of a socket that is bound already: nothing of it changes before `accept`. Throws, and has closed it, when it is none. */
  constructor(poller: Poller, fd: number, hostname: string, { backlog, tcp }: Pick<ListenOptions, "backlog" | "tcp">) {
    this.#poller = poller;
    this.#fd = fd;
    this.#backlog = backlog;
    this.#tcp = tcp;
    const { system } = poller;
    const isSocket = system.localAddress(fd, this.#from) >= 0;
    const fresh = isSocket ? system.socket(familyOf(this.#from)) : -1;
    if (fresh < 0) {
      const error = system.error();
      system.close(fd);
      throw error;
    }
    this.#asSystem = keepAliveOf(system, fresh);
    system.close(fresh);
    this.#local = decodeEndpoint(this.#from);
    this.address = { hostname, port: this.#local.port };
  }

  get tcp(): TcpOptions {
    return this.#tcp;
  }

  /** Connections have the options of what they came by: no call for each of them. */
  set tcp(options: TcpOptions) {
    this.#tcp = options;
    if (this.#place !== undefined) this.#tune();
  }

  /** May be called again after `pause`. Throws, and has closed it, when the system cannot. */
  accept(accepting: Accepting): void {
    if (this.#place === undefined) this.#begin();
    this.#accepting = accepting;
    this.#isReadable = true;
    this.#poller.again(this);
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#accepting = undefined;
    if (this.#place !== undefined) this.#poller.release(this.#fd, this.#place);
    this.#place = undefined;
  }

  duplicate(): number {
    const fd = DescriptorCalls.open().duplicate(this.#fd);
    if (fd < 0) throw this.#poller.system.error();
    return fd;
  }

  close(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#place !== undefined) this.#poller.closeAtOnce(this.#fd, this.#place);
    else if (this.#fd >= 0) this.#poller.system.close(this.#fd);
    this.#fd = -1;
    this.#place = undefined;
    return Promise.resolve();
  }

  onEvents(): void {
    this.#isReadable = true;
    this.serve();
  }

  serve(): void {
    for (let i = 0; i < MOST_AT_ONCE; i++) {
      if (!this.#accepting || !this.#isReadable || this.#timer !== undefined || this.#fd < 0) return;
      this.#acceptOne(this.#accepting);
    }
    this.#poller.again(this);
  }

  /** Listens, and hears of clients. Throws, and has closed it, when the system cannot. */
  #begin(): void {
    const { system } = this.#poller;
    this.#tune(); // before there are clients
    // Of one that listens already this sets how many may wait.
    if (system.listen(this.#fd, this.#backlog) < 0) {
      const error = system.error();
      void this.close();
      throw error;
    }
    try {
      this.#place = this.#poller.add(this.#fd, this);
    } catch (error) {
      this.#fd = -1;
      throw error;
    }
  }

  #tune(): void {
    // What was set before is not undone by setting nothing.
    const isAsSystem = this.#tcp.keepAlive?.idle === 0;
    tune(this.#poller.system, this.#fd, isAsSystem ? { keepAlive: this.#asSystem } : this.#tcp);
  }

  #acceptOne({ onConnection, onFailure }: Accepting): void {
    const { system } = this.#poller;
    const fd = system.accept(this.#fd, this.#from);
    if (fd < 0) {
      const errno = system.transferErrno;
      if (errno === EAGAIN) this.#isReadable = false;
      else if (errno !== EINTR && !CLIENT_IS_GONE.includes(errno)) this.#failed(system.error(errno), onFailure);
      return;
    }
    let link: NativeLink;
    try {
      link = this.#link(fd);
    } catch (error) {
      return this.#failed(error as Error, onFailure);
    }
    this.#pause = FIRST_PAUSE;
    onConnection(link);
  }

  #link(fd: number): NativeLink {
    const remote = decodeEndpoint(this.#from);
    let local = this.#local;
    if (ANY.includes(local.hostname)) {
      this.#poller.system.localAddress(fd, this.#from);
      local = decodeEndpoint(this.#from);
    }
    return new NativeLink(this.#poller.flow(fd), { remote, local });
  }

  /** No event tells when there is again what lacked now. */
  #failed(error: Error, onFailure: Accepting["onFailure"]): void {
    onFailure({ reason: error.message, retry_ms: this.#pause });
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#poller.again(this);
    }, this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }
}
