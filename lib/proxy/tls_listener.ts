import { createServer, type Socket } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Listen } from "../config.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "../link/link.ts";
import { TlsLink } from "../link/tls.ts";
import type { Listener, ListenerOptions } from "./listener.ts";

/**
 * A listener whose connections are TLS. By Node's interface: a connection of Deno's own cannot be closed while its handshake is
 * under way, so silent clients would hold descriptors for as long as they like; nor can its certificate be changed.
 */
export class TlsListener implements Listener {
  readonly address: Endpoint;
  readonly #options: ListenerOptions;
  #listen: Listen;
  #context: SecureContext;
  readonly #server = createServer({ noDelay: true }, (socket) => this.#welcome(socket));

  /** See `openListener`. */
  constructor(listen: Listen, port: number, options: ListenerOptions) {
    this.#listen = listen;
    this.#context = createSecureContext(listen.tls);
    this.address = { hostname: listen.hostname, port };
    this.#options = options;
  }

  get listen(): Listen {
    return this.#listen;
  }

  reconfigure(listen: Listen): void {
    this.#listen = listen;
    this.#context = createSecureContext(listen.tls);
  }

  accept(): Promise<void> {
    const settled = Promise.withResolvers<void>();
    this.#server.on("error", (error) => {
      settled.resolve();
      this.#options.stats.acceptFails++;
      this.#options.log.error("accept failed", { local: formatEndpoint(this.address), reason: reasonOf(error) });
    });
    const { hostname: host, port } = this.address;
    this.#server.listen({ host, port, reusePort: true }, settled.resolve);
    return settled.promise;
  }

  close(): Promise<void> {
    // It settles when its connections have ended too: they live on.
    this.#server.close();
    return Promise.resolve();
  }

  #welcome(socket: Socket): void {
    const { keepAlive, stats, onConnection } = this.#options;
    if (keepAlive()) socket.setKeepAlive(true);
    onConnection(new TlsLink(socket, this.#context, () => stats.closes++), this.#listen);
  }
}
