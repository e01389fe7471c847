import { isIP } from "node:net";
import type { SocketAddress } from "../dial.ts";
import type { Endpoint } from "../link.ts";
import { orExplain } from "../listen.ts";
import type { ConnectOptions, Engine, Listening, ListenOptions } from "./engine.ts";
import { NativeFlow } from "./native_flow.ts";
import { NativeLink } from "./native_link.ts";
import { NativeListening } from "./native_listening.ts";
import { Poller } from "./poller.ts";
import { decodeEndpoint, encodeAddress, familyOf, LONGEST_ADDRESS } from "./sockaddr.ts";
import { AF_UNIX, ECONNREFUSED, EINPROGRESS, EINTR, System } from "./system.ts";
import { tune } from "./tune.ts";

/** The sockets of Linux, by its C library: one a thread. */
export class NativeEngine implements Engine {
  readonly name = "epoll";
  readonly #poller: Poller;
  readonly #address = new Uint8Array(LONGEST_ADDRESS);

  /** Throws where the C library cannot be had, or what is needed of it. */
  constructor() {
    this.#poller = new Poller(System.open());
  }

  listen(endpoint: Endpoint, options: ListenOptions): Listening {
    return orExplain(
      endpoint,
      () => new NativeListening(this.#poller, ipOf(endpoint.hostname), endpoint, options),
    );
  }

  async connect(address: SocketAddress, options: ConnectOptions): Promise<NativeLink> {
    const { system } = this.#poller;
    options.signal?.throwIfAborted();
    const to = encodeAddress(address, system);
    const fd = system.socket(familyOf(to));
    if (fd < 0) throw system.error();
    if (familyOf(to) !== AF_UNIX) tune(system, fd, options);
    // After a signal it goes on all the same.
    const errno = system.connect(fd, to) < 0 ? system.errno : 0;
    const isConnecting = errno === EINPROGRESS || errno === EINTR;
    if (errno !== 0 && !isConnecting) {
      system.close(fd);
      throw system.error(errno);
    }
    const ends = { local: this.#localOf(fd), remote: decodeEndpoint(to) };
    const flow = new NativeFlow(this.#poller, fd, { isConnecting, isUnix: address.kind === "unix" });
    try {
      if (isConnecting) await connected(flow, options.signal);
      // A port of those that the system gives to who connects may be its own other end.
      if (address.kind === "tcp" && this.#isSelf(fd, ends)) throw system.error(ECONNREFUSED);
      return new NativeLink(flow, ends);
    } catch (error) {
      flow.close();
      throw error;
    }
  }

  soon(callback: () => void): void {
    this.#poller.again({ serve: callback, onEvents() {} });
  }

  close(): Promise<void> {
    return this.#poller.stop();
  }

  #localOf(fd: number): Endpoint {
    this.#poller.system.localAddress(fd, this.#address);
    return decodeEndpoint(this.#address);
  }

  /** The other end of who connects to 0.0.0.0 has another address than that. */
  #isSelf(fd: number, { local, remote }: { local: Endpoint; remote: Endpoint }): boolean {
    if (local.port !== remote.port) return false;
    if (this.#poller.system.remoteAddress(fd, this.#address) < 0) return false; // it broke meanwhile
    return decodeEndpoint(this.#address).hostname === local.hostname;
  }
}

/** The address of a name, which Deno looks up at once only for who listens. */
function ipOf(hostname: string): string {
  if (isIP(hostname.split("%")[0]!)) return hostname;
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.hostname;
}

/** Settles when it is; rejects with why it cannot be, and when it is given up. */
function connected(flow: NativeFlow, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal!.reason);
    signal?.addEventListener("abort", giveUp);
    flow.sink = {
      ...flow.sink,
      writable: () => {
        signal?.removeEventListener("abort", giveUp);
        if (flow.error) reject(flow.error);
        else resolve();
      },
    };
  });
}
