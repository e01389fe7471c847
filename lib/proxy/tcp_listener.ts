import type { Listen } from "../config.ts";
import { formatEndpoint, reasonOf } from "../link/link.ts";
import type { Endpoint } from "../link/link.ts";
import { TcpLink } from "../link/tcp.ts";
import { type Listener, type ListenerOptions, orExplain } from "./listener.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1000;

/** How accepting a connection fails that its client has reset meanwhile. */
const GONE = [Deno.errors.NotConnected, Deno.errors.ConnectionAborted, Deno.errors.ConnectionReset];

/** A listener whose connections are bare TCP. */
export class TcpListener implements Listener {
  readonly address: Endpoint;
  readonly #options: ListenerOptions;
  #listen: Listen;
  readonly #listener: Deno.TcpListener;
  #closed = false;
  #accepting = Promise.resolve();
  /** Ends the pause after a failure. */
  #wake = () => {};

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
    this.#accepting = this.#acceptAll();
    return Promise.resolve();
  }

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
