import type { Endpoint } from "../../link.ts";
import type { Poller } from "../poller.ts";
import { encodeAddress, familyOf } from "../sockaddr.ts";
import { SO_REUSEPORT, SOL_SOCKET, type SystemError } from "../system.ts";
import { DatagramCalls, sizeBuffers, tellLocal } from "./datagram_calls.ts";
import type { AdoptOptions, BindOptions, DatagramOptions } from "./datagrams.ts";
import { Incoming } from "./incoming.ts";
import type { Shared } from "./native_datagrams.ts";
import { isAny } from "./native_peer.ts";
import { BoundSocket, ConnectedSocket } from "./native_sockets.ts";
import { SendQueue } from "./send_queue.ts";

/** Sockets of UDP of a thread, and the memory that they share. */
export class NativeUdp {
  readonly #shared: Shared;

  constructor(poller: Poller) {
    const calls = DatagramCalls.open();
    this.#shared = { poller, calls, incoming: new Incoming(calls), queue: new SendQueue(poller, calls) };
  }

  /** `ip`: that of the host. Throws the system's error when the address cannot be had. */
  bind(ip: string, { hostname, port }: Endpoint, { isShared, ...sizes }: BindOptions): BoundSocket {
    const { system } = this.#shared.poller;
    const address = encodeAddress({ kind: "tcp", hostname: ip, port }, system);
    const fd = this.#open(address);
    if (isShared && system.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) throw this.#failed(fd);
    if (isAny(address)) tellLocal(system, fd, familyOf(address));
    const traits = { isShared, ...sizeBuffers(system, fd, sizes) };
    if (system.bind(fd, address) < 0) throw this.#failed(fd);
    return new BoundSocket(this.#shared, fd, hostname, traits);
  }

  /** By a descriptor of a bound socket, which it owns. Throws the system's error, and has closed it, when it is none. */
  adopt(fd: number, hostname: string, { use, ...sizes }: AdoptOptions): BoundSocket {
    const { system } = this.#shared.poller;
    system.assertSocket(fd);
    return new BoundSocket(this.#shared, fd, hostname, { isShared: true, ...sizeBuffers(system, fd, sizes) }, use);
  }

  /** Throws when it is no IP address, and the system's error. */
  connect({ hostname, port }: Endpoint, sizes: DatagramOptions): ConnectedSocket {
    const { system } = this.#shared.poller;
    const address = encodeAddress({ kind: "tcp", hostname, port }, system);
    const fd = this.#open(address);
    const traits = { isShared: false, ...sizeBuffers(system, fd, sizes) };
    if (system.connect(fd, address) < 0) throw this.#failed(fd);
    return new ConnectedSocket(this.#shared, fd, address, traits);
  }

  #open(address: Uint8Array): number {
    const fd = this.#shared.calls.socket(familyOf(address));
    if (fd < 0) throw this.#shared.poller.system.error();
    return fd;
  }

  #failed(fd: number): SystemError {
    const { system } = this.#shared.poller;
    const error = system.error();
    system.close(fd);
    return error;
  }
}
