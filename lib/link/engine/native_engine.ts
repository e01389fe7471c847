import type { SocketAddress } from "../dial.ts";
import type { Remains } from "../flow.ts";
import type { Endpoint } from "../link.ts";
import { ipOf, orExplain } from "../listen.ts";
import type { ConnectOptions, Engine, Listening, ListenOptions } from "./engine.ts";
import type { SocketFlow } from "./socket_flow.ts";
import { MessageBellHearing } from "./message_bell.ts";
import { NativeLink } from "./native_link.ts";
import { NativeListening } from "./native_listening.ts";
import { DescriptorSocket } from "./passing/descriptor_socket.ts";
import type { Poller } from "./poller.ts";
import { decodeEndpoint, encodeAddress, familyOf, LONGEST_ADDRESS } from "./sockaddr.ts";
import { AF_UNIX, ECONNREFUSED, EINPROGRESS, EINTR } from "./system.ts";
import { tune } from "./tune.ts";
import type { AdoptOptions, BindOptions, ConnectedDatagrams, DatagramOptions } from "./udp/datagrams.ts";
import type { DatagramSocket, PassableDatagrams } from "./udp/datagrams.ts";
import { NativeUdp } from "./udp/native_udp.ts";

/** The sockets of Linux, by its C library: one a thread. */
export class NativeEngine implements Engine {
  readonly name: Engine["name"];
  readonly canShareDatagrams = true;
  readonly #poller: Poller;
  readonly #address = new Uint8Array(LONGEST_ADDRESS);
  #udp: NativeUdp | undefined;
  #hearing: MessageBellHearing | undefined;

  /** Owns the poller. */
  constructor(name: Engine["name"], poller: Poller) {
    this.name = name;
    this.#poller = poller;
  }

  get failure(): Error | undefined {
    return this.#poller.failure;
  }

  listen(endpoint: Endpoint, options: ListenOptions): Listening {
    return orExplain(
      endpoint,
      () => NativeListening.open(this.#poller, ipOf(endpoint.hostname), endpoint, options),
    );
  }

  adoptListening(fd: number, hostname: string, options: Pick<ListenOptions, "backlog" | "tcp">): NativeListening {
    return new NativeListening(this.#poller, fd, hostname, options);
  }

  async connect(address: SocketAddress, options: ConnectOptions): Promise<NativeLink> {
    const { system } = this.#poller;
    options.signal?.throwIfAborted();
    const to = encodeAddress(address, system);
    const fd = system.socket(familyOf(to));
    if (fd < 0) throw system.error();
    const isUnix = familyOf(to) === AF_UNIX;
    if (!isUnix) tune(system, fd, options);
    const isStarted = system.connect(fd, to) >= 0;
    // After a signal it goes on all the same. What may be missing is a path, and no address.
    const errno = isStarted ? 0 : isUnix ? system.errno : system.transferErrno;
    const isConnecting = errno === EINPROGRESS || errno === EINTR;
    if (errno !== 0 && !isConnecting) {
      system.close(fd);
      throw system.error(errno);
    }
    const ends = { local: this.#localOf(fd), remote: decodeEndpoint(to) };
    const flow = this.#poller.flow(fd, { isConnecting, isUnix });
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

  // deno-lint-ignore require-await -- what it throws is a rejection
  async bindDatagrams(endpoint: Endpoint, options: BindOptions): Promise<DatagramSocket> {
    return orExplain(endpoint, () => this.#datagrams.bind(ipOf(endpoint.hostname), endpoint, options));
  }

  adoptDatagrams(fd: number, hostname: string, options: AdoptOptions): PassableDatagrams {
    return this.#datagrams.adopt(fd, hostname, options);
  }

  // deno-lint-ignore require-await -- what it throws is a rejection
  async connectDatagrams(endpoint: Endpoint, options: DatagramOptions): Promise<ConnectedDatagrams> {
    return this.#datagrams.connect(endpoint, options);
  }

  adopt(fd: number, remains: Remains, remote: Endpoint): NativeLink {
    const { system } = this.#poller;
    system.assertSocket(fd);
    let local: Endpoint;
    try {
      local = this.#localOf(fd);
    } catch (error) {
      system.close(fd);
      throw error;
    }
    const flow = this.#poller.flow(fd, { isUnix: familyOf(this.#address) === AF_UNIX });
    flow.goOnFrom(remains);
    return new NativeLink(flow, { local, remote });
  }

  adoptSocket(fd: number): DescriptorSocket {
    return new DescriptorSocket(this.#poller, fd);
  }

  hearMessages(bell: number): void {
    this.#hearing = new MessageBellHearing(this.#poller, bell);
  }

  soon(callback: () => void): void {
    this.#poller.again({ serve: callback, onEvents() {} });
  }

  close(): Promise<void> {
    this.#hearing?.close();
    this.#hearing = undefined;
    return this.#poller.stop();
  }

  /** Its memory is there from the first one on. */
  get #datagrams(): NativeUdp {
    return this.#udp ??= new NativeUdp(this.#poller);
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

/** Settles when it is; rejects with why it cannot be, and when it is given up. */
function connected(flow: SocketFlow, signal: AbortSignal | undefined): Promise<void> {
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
