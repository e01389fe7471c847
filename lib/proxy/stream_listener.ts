import { createServer, type Socket } from "node:net";
import { createSecureContext } from "node:tls";
import type { Listen } from "../config.ts";
import { carrierOf } from "../link/carrier.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "../link/link.ts";
import { TlsLink } from "../link/tls.ts";
import type { Listener, ListenerOptions } from "./listener.ts";
import { Networks } from "./networks.ts";
import { Upgrade } from "./upgrade.ts";

/**
 * A listener whose connections are TLS, or WebSockets, or both. By Node's interface: a TLS connection of Deno's own cannot be
 * closed while its handshake is under way, so silent clients would hold descriptors for as long as they like, nor can its
 * certificate be changed; and a WebSocket of Deno's own reads on whether anybody takes what it read or not.
 */
export class StreamListener implements Listener {
  readonly address: Endpoint;
  readonly #options: ListenerOptions;
  #listen: Listen;
  #context: ReturnType<typeof contextOf>;
  #trusted: Networks;
  readonly #upgrade: Upgrade | undefined;
  /** Settles when it listens, or cannot, or is closed before. */
  readonly #listening = Promise.withResolvers<void>();
  readonly #server = createServer({ noDelay: true }, (socket) => this.#welcome(socket));

  /** See `openListener`. */
  constructor(listen: Listen, port: number, options: ListenerOptions) {
    this.#listen = listen;
    this.#context = contextOf(listen);
    this.#trusted = new Networks(listen.trusted);
    this.#upgrade = listen.webSocket && new Upgrade();
    this.address = { hostname: listen.hostname, port };
    this.#options = options;
  }

  get listen(): Listen {
    return this.#listen;
  }

  reconfigure(listen: Listen): void {
    this.#listen = listen;
    this.#context = contextOf(listen);
    this.#trusted = new Networks(listen.trusted);
  }

  accept(): Promise<void> {
    this.#server.on("error", (error) => {
      this.#listening.resolve();
      this.#options.stats.acceptFails++;
      this.#options.log.error("accept failed", { local: formatEndpoint(this.address), reason: reasonOf(error) });
    });
    const { hostname: host, port } = this.address;
    this.#server.listen({ host, port, reusePort: true }, this.#listening.resolve);
    return this.#listening.promise;
  }

  close(): Promise<void> {
    // It settles when its connections have ended too: they live on.
    this.#server.close();
    this.#listening.resolve();
    return Promise.resolve();
  }

  #welcome(socket: Socket): void {
    const { keepAlive, stats, onConnection } = this.#options;
    if (keepAlive()) socket.setKeepAlive(true);
    const carrier = carrierOf(socket, this.#context);
    const onClose = () => stats.closes++;
    const { webSocket } = this.#listen;
    const link = this.#upgrade && webSocket
      ? this.#upgrade.take(carrier, webSocket, this.#trusted, onClose)
      : new TlsLink(carrier, onClose);
    onConnection(link, this.#listen);
  }
}

function contextOf({ tls }: Listen) {
  return tls && createSecureContext(tls);
}
