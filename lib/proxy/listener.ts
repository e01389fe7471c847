import { formatEndpoint, reasonOf } from "../link/link.ts";
import type { ClientLink, Endpoint } from "../link/link.ts";
import { TcpLink } from "../link/tcp.ts";
import type { Log } from "../log.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1000;

export interface ListenerOptions {
  /** Gets each connection, and owns it. Must not throw. */
  onConnection: (link: ClientLink) => void;
  keepAlive: boolean;
  log: Log;
}

/** Has an address from the start, and accepts connections on it from `accept` until it is closed. */
export class Listener {
  readonly address: Endpoint;
  readonly #listener: Deno.TcpListener;
  readonly #options: ListenerOptions;
  #closed = false;
  #accepting = Promise.resolve();
  /** Ends the pause after a failure. */
  #wake = () => {};

  /** Port 0: any free one. Throws when the address cannot be had. */
  constructor({ hostname, port }: Endpoint, options: ListenerOptions) {
    this.#listener = listen({ hostname, port });
    this.address = { hostname, port: this.#listener.addr.port };
    this.#options = options;
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
        this.#options.onConnection(new TcpLink(conn, this.#options));
      } catch (error) {
        if (this.#closed) return;
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

function listen(endpoint: Endpoint): Deno.TcpListener {
  try {
    return Deno.listen(endpoint);
  } catch (error) {
    const reason = error instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied (ports below 1024 need root, or CAP_NET_BIND_SERVICE)"
      : reasonOf(error);
    throw new Error(`Cannot listen on ${formatEndpoint(endpoint)}: ${reason}`);
  }
}
