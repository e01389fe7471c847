import { acceptAll } from "../../link/accept.ts";
import { dial } from "../../link/dial.ts";
import type { Endpoint } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import { joinLinks } from "../../link/relay.ts";
import { TcpLink } from "../../link/tcp.ts";

/** Milliseconds to reach what is at the other end. */
const DIAL_TIMEOUT = 5000;

/** A line that can be cut: a TCP relay that for a while carries nothing. */
export class Line {
  readonly address: Endpoint;
  readonly #target: Endpoint;
  readonly #listener: Deno.TcpListener;
  readonly #closing = new AbortController();
  readonly #connections = new Map<TcpLink, Promise<void>>();
  readonly #accepting: Promise<void>;
  #outUntil = 0;

  /** Listens on a random port of `hostname`, and carries to `target`. Throws when it cannot listen. */
  constructor(hostname: string, target: Endpoint) {
    this.#target = target;
    this.#listener = orExplain({ hostname, port: 0 }, () => Deno.listen({ hostname, port: 0 }));
    this.address = { hostname, port: this.#listener.addr.port };
    this.#accepting = acceptAll(this.#listener, {
      onConnection: (conn) => this.#carry(new TcpLink(conn, { keepAlive: false })),
      onFailure: () => {},
      signal: this.#closing.signal,
    });
  }

  /** Closes every connection, and those that come within so many milliseconds as well. */
  cut(ms: number): void {
    this.#outUntil = performance.now() + ms;
    for (const near of this.#connections.keys()) near.close();
  }

  /** Listens no more, and settles when everything is closed. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#listener.close();
    this.cut(0);
    await Promise.all([this.#accepting, ...this.#connections.values()]);
  }

  #carry(near: TcpLink): void {
    if (performance.now() < this.#outUntil) return near.close();
    const joined = dial({ kind: "tcp", ...this.#target }, { timeout: DIAL_TIMEOUT })
      .then((far) => joinLinks(near, far), () => near.close());
    this.#connections.set(near, joined.finally(() => this.#connections.delete(near)));
  }
}
