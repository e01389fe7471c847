import { setImmediate } from "node:timers";
import type { SocketAddress } from "../dial.ts";
import { acceptAll } from "../accept.ts";
import type { Endpoint } from "../link.ts";
import { ipOf, orExplain } from "../listen.ts";
import { SocketLink, TcpLink } from "../tcp.ts";
import { bind, connect } from "./udp/node_datagrams.ts";
import type { ConnectedDatagrams, DatagramSocket } from "./udp/datagrams.ts";
import type { Accepting, ConnectOptions, Engine, Listening, ListenOptions, TcpOptions } from "./engine.ts";

/** Deno's own sockets, on every system. */
export class DenoEngine implements Engine {
  readonly name = "deno";
  readonly canShareDatagrams = false;

  listen(endpoint: Endpoint, options: ListenOptions): Listening {
    return new DenoListening(endpoint, options);
  }

  async connect(address: SocketAddress, { keepAlive, signal }: ConnectOptions): Promise<SocketLink> {
    signal?.throwIfAborted();
    if (address.kind === "unix") return new SocketLink(await Deno.connect({ transport: "unix", path: address.path }));
    const { hostname, port } = address;
    return new TcpLink(await Deno.connect({ hostname, port, ...(signal && { signal }) }), {
      keepAlive: Boolean(keepAlive),
    });
  }

  async bindDatagrams(endpoint: Endpoint): Promise<DatagramSocket> {
    try {
      return await bind(ipOf(endpoint.hostname), endpoint);
    } catch (error) {
      return orExplain(endpoint, () => {
        throw error;
      });
    }
  }

  connectDatagrams(endpoint: Endpoint): Promise<ConnectedDatagrams> {
    return connect(endpoint);
  }

  soon(callback: () => void): void {
    setImmediate(callback);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class DenoListening implements Listening {
  readonly address: Endpoint;
  tcp: TcpOptions;
  readonly #listener: Deno.TcpListener;
  readonly #closing = new AbortController();
  #accepting = Promise.resolve();

  constructor({ hostname, port }: Endpoint, { isShared, tcp }: ListenOptions) {
    this.#listener = orExplain({ hostname, port }, () => Deno.listen({ hostname, port, reusePort: isShared }));
    this.address = { hostname, port: this.#listener.addr.port };
    this.tcp = tcp;
  }

  accept({ onConnection, onFailure }: Accepting): void {
    this.#accepting = acceptAll(this.#listener, {
      onConnection: (conn) => onConnection(new TcpLink(conn, { keepAlive: Boolean(this.tcp.keepAlive) })),
      onFailure,
      signal: this.#closing.signal,
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#listener.close();
    await this.#accepting;
  }
}
