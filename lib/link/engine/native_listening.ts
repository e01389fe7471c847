import type { Endpoint } from "../link.ts";
import { FIRST_PAUSE, LONGEST_PAUSE } from "../accept.ts";
import type { Accepting, KeepAlive, Listening, ListenOptions, TcpOptions } from "./engine.ts";
import { NativeFlow } from "./native_flow.ts";
import { NativeLink } from "./native_link.ts";
import type { Pollable, Poller } from "./poller.ts";
import { decodeEndpoint, encodeAddress, familyOf, LONGEST_ADDRESS } from "./sockaddr.ts";
import { CLIENT_IS_GONE, EAGAIN, EINTR, SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET } from "./system.ts";
import { keepAliveOf, tune } from "./tune.ts";

/** Connections accepted at once: others are to have their turn. */
const MOST_AT_ONCE = 64;

/** Wildcards: who connected to one of these connected to an address that only the connection tells. */
const ANY = ["0.0.0.0", "::"];

/** A listening socket of the system's. */
export class NativeListening implements Listening, Pollable {
  readonly address: Endpoint;
  /** The same, as an IP address. */
  readonly #local: Endpoint;
  readonly #poller: Poller;
  readonly #slot: number;
  readonly #from = new Uint8Array(LONGEST_ADDRESS);
  readonly #asSystem: KeepAlive;
  #tcp!: TcpOptions;
  #fd: number;
  #accepting: Accepting | undefined;
  /** Clients may be waiting. */
  #isReadable = false;
  #pause = FIRST_PAUSE;
  /** Until then it accepts nothing. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `ip`: that of the host. Throws the system's error when the address cannot be had. */
  constructor(poller: Poller, ip: string, { hostname, port }: Endpoint, { backlog, tcp, isShared }: ListenOptions) {
    this.#poller = poller;
    const { system } = poller;
    const address = encodeAddress({ kind: "tcp", hostname: ip, port }, system);
    const fd = system.socket(familyOf(address));
    if (fd < 0) throw system.error();
    system.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (isShared) system.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (system.bind(fd, address) < 0 || system.listen(fd, backlog) < 0) {
      const error = system.error();
      system.close(fd);
      throw error;
    }
    system.localAddress(fd, this.#from);
    this.#local = decodeEndpoint(this.#from);
    this.address = { hostname, port: this.#local.port };
    this.#slot = poller.add(fd, this);
    this.#fd = fd;
    this.#asSystem = keepAliveOf(system, fd);
    this.tcp = tcp;
  }

  get tcp(): TcpOptions {
    return this.#tcp;
  }

  /** Connections have the options of what they came by: no call for each of them. */
  set tcp(options: TcpOptions) {
    this.#tcp = options;
    // What was set before is not undone by setting nothing.
    const isAsSystem = options.keepAlive?.idle === 0;
    tune(this.#poller.system, this.#fd, isAsSystem ? { keepAlive: this.#asSystem } : options);
  }

  accept(accepting: Accepting): void {
    this.#accepting = accepting;
    this.#isReadable = true;
    this.#poller.again(this);
  }

  close(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#fd >= 0) this.#poller.close(this.#fd, this.#slot);
    this.#fd = -1;
    return Promise.resolve();
  }

  onEvents(): void {
    this.#isReadable = true;
    this.serve();
  }

  serve(): void {
    if (!this.#accepting || this.#timer !== undefined || this.#fd < 0) return;
    for (let i = 0; i < MOST_AT_ONCE; i++) {
      this.#acceptOne(this.#accepting);
      if (!this.#isReadable || this.#timer !== undefined || this.#fd < 0) return;
    }
    this.#poller.again(this);
  }

  #acceptOne({ onConnection, onFailure }: Accepting): void {
    const { system } = this.#poller;
    const fd = system.accept(this.#fd, this.#from);
    if (fd < 0) {
      const { errno } = system;
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
    return new NativeLink(new NativeFlow(this.#poller, fd), { remote, local });
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
