import type { Listen } from "../config.ts";
import { acceptAll } from "../link/accept.ts";
import { type Endpoint, formatEndpoint } from "../link/link.ts";
import { orExplain } from "../link/listen.ts";
import { TcpLink } from "../link/tcp.ts";
import type { Listener, ListenerOptions } from "./listener.ts";

/** A listener whose connections are bare TCP. */
export class TcpListener implements Listener {
  readonly address: Endpoint;
  readonly #options: ListenerOptions;
  #listen: Listen;
  readonly #listener: Deno.TcpListener;
  readonly #closing = new AbortController();
  #accepting = Promise.resolve();

  /** See `openListener`. */
  constructor(listen: Listen, port: number, options: ListenerOptions) {
    this.#listen = listen;
    this.address = { hostname: listen.hostname, port };
    this.#listener = orExplain(this.address, () => Deno.listen({ ...this.address, reusePort: true }));
    this.#options = options;
  }

  get listen(): Listen {
    return this.#listen;
  }

  reconfigure(listen: Listen): void {
    this.#listen = listen;
  }

  accept(): Promise<void> {
    const { keepAlive, stats, log, onConnection } = this.#options;
    this.#accepting = acceptAll(this.#listener, {
      onConnection: (conn) => {
        onConnection(new TcpLink(conn, { keepAlive: keepAlive(), onClose: () => stats.closes++ }), this.#listen);
      },
      onFailure: (failure) => {
        stats.acceptFails++;
        log.error("accept failed", { local: formatEndpoint(this.address), ...failure });
      },
      signal: this.#closing.signal,
    });
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#listener.close();
    await this.#accepting;
  }
}
