import { acceptAll } from "../../link/accept.ts";
import { dial } from "../../link/dial.ts";
import type { Endpoint, Link } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import { joinLinks } from "../../link/relay.ts";
import { TcpLink } from "../../link/tcp.ts";
import type { Clock } from "../flaky/token_bucket.ts";
import { Throttle } from "./throttle.ts";

/** Milliseconds to reach what is at the other end. */
const DIAL_TIMEOUT = 5000;

/**
 * A line that can be cut, slow, or dead: a TCP relay. What a slow one has not carried yet waits at its ends, whose buffers are
 * bounded: who sends more is held up.
 */
export class Line {
  readonly address: Endpoint;
  readonly #target: Endpoint;
  readonly #listener: Deno.TcpListener;
  readonly #closing = new AbortController();
  readonly #connections = new Map<TcpLink, Promise<void>>();
  readonly #accepting: Promise<void>;
  /** What holds up what goes to the target, and what comes from it. */
  readonly #up: Throttle;
  readonly #down: Throttle;
  #outUntil = 0;

  /** Listens on a random port of `hostname`, and carries to `target`, at full speed. Throws when it cannot listen. */
  constructor(hostname: string, target: Endpoint, clock?: Clock) {
    this.#target = target;
    this.#up = new Throttle(clock);
    this.#down = new Throttle(clock);
    this.#listener = orExplain({ hostname, port: 0 }, () => Deno.listen({ hostname, port: 0 }));
    this.address = { hostname, port: this.#listener.addr.port };
    this.#accepting = acceptAll(this.#listener, {
      onConnection: (conn) => this.#carry(new TcpLink(conn, { keepAlive: false })),
      onFailure: () => {},
      signal: this.#closing.signal,
    });
  }

  /**
   * Bytes a second, each way, which all connections share; `Infinity`: as fast as it can. 0: the line is dead. Connections are
   * taken, and what is sent as far as buffers go, but nothing is carried, nor is an end of any kind told, until that is changed.
   */
  set rate(rate: number) {
    this.#up.rate = this.#down.rate = rate;
  }

  /** Bytes that were carried from the target, ever. */
  get carried(): number {
    return this.#down.passed;
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
    this.rate = Infinity;
    this.cut(0);
    await Promise.all([this.#accepting, ...this.#connections.values()]);
  }

  #carry(near: TcpLink): void {
    if (performance.now() < this.#outUntil) return near.close();
    const joined = dial({ kind: "tcp", ...this.#target }, { timeout: DIAL_TIMEOUT })
      .then((far) => this.#join(near, far), () => near.close());
    this.#connections.set(near, joined.finally(() => this.#connections.delete(near)));
  }

  #join(near: TcpLink, far: Link): Promise<void> {
    // Also when its own direction has ended: then no read of it is under way that would fail.
    near.onClose = () => far.close();
    return joinLinks(throttled(near, this.#down), throttled(far, this.#up));
  }
}

/** `link`, with writes that `throttle` holds up. While that lets nothing pass, no end of it is told, nor to it. */
function throttled(link: Link, throttle: Throttle): Link {
  return {
    async read(buffer) {
      try {
        return await link.read(buffer);
      } catch (error) {
        await throttle.opened();
        throw error;
      }
    },
    async write(bytes) {
      return await link.write(bytes.subarray(0, await throttle.pass(bytes.length)));
    },
    async closeWrite() {
      await throttle.opened();
      await link.closeWrite();
    },
    close: () => link.close(),
  };
}
