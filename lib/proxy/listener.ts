import type { Listen } from "../config.ts";
import { formatEndpoint, reasonOf } from "../link/link.ts";
import type { ClientLink, Endpoint } from "../link/link.ts";
import { TcpLink } from "../link/tcp.ts";
import type { Log } from "../log.ts";
import type { Stats } from "./stats.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1000;

export interface ListenerOptions {
  /** Gets each connection, and owns it, with how its listener speaks. Must not throw. */
  onConnection: (link: ClientLink, listen: Listen) => void;
  keepAlive: () => boolean;
  log: Log;
  stats: Stats;
}

/** Has an address from the start, and accepts connections on it from `accept` until it is closed. */
export class Listener {
  readonly address: Endpoint;
  readonly #options: ListenerOptions;
  #listen: Listen;
  #listener: Deno.Listener<Deno.TcpConn | Deno.TlsConn>;
  #closed = false;
  #accepting = Promise.resolve();
  /** Ends the pause after a failure. */
  #wake = () => {};

  /** Port 0: any free one. Throws when the address cannot be had. */
  constructor(listen: Listen, options: ListenerOptions) {
    this.#listen = listen;
    this.#listener = open(listen);
    this.address = { hostname: listen.hostname, port: (this.#listener.addr as Deno.NetAddr).port };
    this.#options = options;
  }

  /** Whether another configuration of a listener means this address. */
  servesSameAddress({ hostname, port }: Listen): boolean {
    return hostname === this.#listen.hostname && port === this.#listen.port;
  }

  /**
   * Speaks as `listen`, which means the same address, says. Another certificate needs the socket to be opened anew, since
   * Deno has no other way: for a moment connections are refused.
   */
  async reconfigure(listen: Listen): Promise<void> {
    const same = listen.tls?.cert === this.#listen.tls?.cert && listen.tls?.key === this.#listen.tls?.key;
    this.#listen = listen;
    if (same) return;
    await this.close();
    this.#listener = open({ ...listen, port: this.address.port });
    this.#closed = false;
    this.accept();
  }

  /** Starts to accept; until then connections wait in the backlog. */
  accept(): void {
    this.#accepting = this.#acceptAll();
  }

  /** Connections accepted before live on. Settles when the address is free again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    this.#listener.close();
    await this.#accepting;
  }

  /** A failure, of which the usual one is to be out of descriptors, is waited out, each in a row twice as long. */
  async #acceptAll(): Promise<void> {
    for (let pause = FIRST_PAUSE; !this.#closed;) {
      try {
        const conn = await this.#listener.accept();
        pause = FIRST_PAUSE;
        this.#options.onConnection(new TcpLink(conn, { keepAlive: this.#options.keepAlive() }), this.#listen);
      } catch (error) {
        if (this.#closed) return;
        this.#options.stats.acceptFails++;
        const fields = { local: formatEndpoint(this.address), reason: reasonOf(error), retry_ms: pause };
        this.#options.log.error("accept failed", fields);
        await this.#sleep(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE);
      }
    }
  }

  #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    return promise.finally(() => clearTimeout(timer));
  }
}

function open({ hostname, port, tls }: Listen): Deno.Listener<Deno.TcpConn | Deno.TlsConn> {
  const endpoint = { hostname, port };
  try {
    return tls ? Deno.listenTls({ ...endpoint, cert: tls.cert, key: tls.key }) : Deno.listen(endpoint);
  } catch (error) {
    const reason = error instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied (ports below 1024 need root, or CAP_NET_BIND_SERVICE)"
      : reasonOf(error);
    throw new Error(`Cannot listen on ${formatEndpoint(endpoint)}: ${reason}`);
  }
}
