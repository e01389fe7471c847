import type { Listen } from "../config.ts";
import { formatEndpoint, reasonOf } from "../link/link.ts";
import type { ClientLink, Endpoint } from "../link/link.ts";
import { TcpLink } from "../link/tcp.ts";
import type { Log } from "../log.ts";
import type { Stats } from "./stats.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1000;

/** How accepting a connection fails that its client has reset meanwhile. */
const GONE = [Deno.errors.NotConnected, Deno.errors.ConnectionAborted, Deno.errors.ConnectionReset];

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
  readonly #listener: Deno.Listener<Deno.TcpConn | Deno.TlsConn>;
  #closed = false;
  #accepting = Promise.resolve();
  /** Ends the pause after a failure. */
  #wake = () => {};

  /** `port`: the one to have: see `reservePort`. Throws when the address cannot be had. */
  constructor(listen: Listen, port: number, options: ListenerOptions) {
    this.#listen = listen;
    this.address = { hostname: listen.hostname, port };
    this.#listener = orExplain(this.address, () => open(this.address, listen.tls));
    this.#options = options;
  }

  /** Whether another configuration of a listener means this address. */
  isAt({ hostname, port }: Listen): boolean {
    return hostname === this.#listen.hostname && port === this.#listen.port;
  }

  /** Whether another configuration of a listener can be served by this socket: Deno cannot change its certificate. */
  serves(listen: Listen): boolean {
    const { tls } = this.#listen;
    return this.isAt(listen) && listen.tls?.cert === tls?.cert && listen.tls?.key === tls?.key;
  }

  /** Speaks as `listen`, which this socket serves, says. */
  reconfigure(listen: Listen): void {
    this.#listen = listen;
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

  /**
   * A failure, of which the usual one is to be out of descriptors, is waited out, each in a row twice as long. A client that was
   * gone before it was accepted is none: others wait behind it.
   */
  async #acceptAll(): Promise<void> {
    for (let pause = FIRST_PAUSE; !this.#closed;) {
      try {
        const conn = await this.#listener.accept();
        pause = FIRST_PAUSE;
        const { keepAlive, stats } = this.#options;
        const link = new TcpLink(conn, { keepAlive: keepAlive(), onClose: () => stats.closes++ });
        this.#options.onConnection(link, this.#listen);
      } catch (error) {
        if (this.#closed) return;
        if (GONE.some((kind) => error instanceof kind)) continue;
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

/** The port of an address that is free, which is another one when it asks for any. Throws when it cannot be had. */
export function reservePort({ hostname, port }: Endpoint): number {
  const listener = orExplain({ hostname, port }, () => Deno.listen({ hostname, port }));
  listener.close();
  return listener.addr.port;
}

/**
 * Shares the address with whoever in this process has it: so that a socket can take the place of another, and each thread
 * has its own. Strangers are kept away by `reservePort`.
 */
function open(endpoint: Endpoint, tls: Listen["tls"]): Deno.Listener<Deno.TcpConn | Deno.TlsConn> {
  const options = { ...endpoint, reusePort: true };
  return tls ? Deno.listenTls({ ...options, cert: tls.cert, key: tls.key }) : Deno.listen(options);
}

/** What `listen` gives. Throws, when the address cannot be had, why, in one sentence. */
export function orExplain<T>(endpoint: Endpoint, listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    const reason = error instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied (ports below 1024 need root, or CAP_NET_BIND_SERVICE)"
      : reasonOf(error);
    throw new Error(`Cannot listen on ${formatEndpoint(endpoint)}: ${reason}`);
  }
}
