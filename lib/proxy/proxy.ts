import type { Config, Listen } from "../config.ts";
import type { Endpoint } from "../link/link.ts";
import { Admission } from "./admission.ts";
import { CacheBudget } from "./cache_budget.ts";
import { Listener } from "./listener.ts";
import { Reception } from "./reception.ts";
import type { Seams } from "./seams.ts";
import type { SessionInfo, SessionState } from "./session_record.ts";
import { SessionTable } from "./session_table.ts";
import type { Stats } from "./stats.ts";
import { type UpstreamInfo, Upstreams } from "./upstream.ts";

/** Milliseconds between two looks at all sessions. */
const LOOK = 1000;

/** How much of everything there is now. */
export interface Gauges {
  sessions: Record<SessionState, number>;
  handshakes: number;
  draining: boolean;
  /** Of the sessions there are. */
  bytesReceived: number;
  bytesSent: number;
  /** Of resend caches: bytes now, at the most so far, and how many gave way to `limits.cache_bytes`. */
  cacheBytes: number;
  cacheHighWater: number;
  cachesReleased: number;
}

/** A running proxy: the data plane. What it gives are plain values, as of now. */
export class Proxy {
  #config: Config;
  readonly #seams: Seams;
  readonly #admission: Admission;
  readonly #budget: CacheBudget;
  readonly #upstreams: Upstreams;
  readonly #sessions: SessionTable;
  readonly #reception: Reception;
  readonly #look: ReturnType<typeof setInterval>;
  #listeners: Listener[];

  /** Use `startProxy`. */
  constructor(config: Config, seams: Seams) {
    this.#config = config;
    this.#seams = seams;
    this.#admission = new Admission(config, seams.now);
    this.#budget = new CacheBudget(config.limits.cacheBytes);
    this.#upstreams = new Upstreams(seams);
    const shared = { seams, budget: this.#budget, config: () => this.#config };
    this.#sessions = new SessionTable({ ...shared, upstreams: this.#upstreams });
    this.#reception = new Reception({ ...shared, admission: this.#admission, sessions: this.#sessions });
    this.#listeners = this.#listenAll(config.listen);
    this.#upstreams.reconfigure(config);
    this.#look = setInterval(() => {
      this.#sessions.look();
      this.#admission.sweep();
    }, LOOK);
  }

  /** Where it listens, in the order of the configuration, with the ports that were had. */
  get addresses(): Endpoint[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** How many sessions there are. */
  get size(): number {
    return this.#sessions.size;
  }

  /** What has happened since the start. */
  get stats(): Stats {
    return this.#seams.stats;
  }

  gauges(): Gauges {
    const sessions = { connecting: 0, attached: 0, detached: 0 };
    let [bytesReceived, bytesSent] = [0, 0];
    for (const { state, received, sent } of this.#sessions.describe()) {
      sessions[state]++;
      bytesReceived += received;
      bytesSent += sent;
    }
    return {
      sessions,
      handshakes: this.#reception.handshakes,
      draining: this.#reception.draining,
      bytesReceived,
      bytesSent,
      cacheBytes: this.#budget.inUse,
      cacheHighWater: this.#budget.highWater,
      cachesReleased: this.#budget.released,
    };
  }

  /** Every session. */
  sessions(): Iterable<SessionInfo> {
    return this.#sessions.describe();
  }

  /** One session; `undefined`: there is none of that id. */
  session(id: number): SessionInfo | undefined {
    return this.#sessions.get(id)?.describe();
  }

  /** Ends a session at once. Gives whether there was one of that id. */
  endSession(id: number): boolean {
    const session = this.#sessions.get(id);
    session?.abort("admin");
    return session !== undefined;
  }

  /** Every host of the configuration. */
  upstreams(): UpstreamInfo[] {
    return this.#upstreams.list();
  }

  /**
   * Goes by another configuration, all at once: sessions live on, those of listeners that are gone too. The size of the
   * resend cache is that of new sessions. Throws, and nothing has changed, when an address cannot be had.
   */
  async reconfigure(config: Config): Promise<void> {
    const left = [...this.#listeners];
    const plan = config.listen.map((listen) => {
      const at = left.findIndex((listener) => listener.servesSameAddress(listen));
      return { listen, listener: at < 0 ? undefined : left.splice(at, 1)[0] };
    });
    const opened = this.#listenAll(plan.filter(({ listener }) => !listener).map(({ listen }) => listen));
    this.#listeners = plan.map(({ listener }) => listener ?? opened.shift()!);
    this.#config = config;
    this.#budget.limit = config.limits.cacheBytes;
    this.#admission.reconfigure(config);
    this.#upstreams.reconfigure(config);
    const changed = plan.map(({ listen, listener }) => listener?.reconfigure(listen));
    await Promise.all([...changed, ...left.map((listener) => listener.close())]);
  }

  /** Begins no new session from now on; the clients of those there are can still resume. */
  drain(): void {
    this.#reception.draining = true;
  }

  /**
   * Stops listening, lets each client have what its backend sent, and settles when all is closed; what has not come to
   * its end within `shutdown_timeout` is cut.
   */
  async stop(): Promise<void> {
    clearInterval(this.#look);
    this.#upstreams.stop();
    const closed = this.#listeners.map((listener) => listener.close());
    this.#reception.close();
    this.#sessions.stop();
    const deadline = setTimeout(() => {
      this.#sessions.abort("shutdown_timeout is over");
      this.#reception.close();
    }, this.#config.shutdownTimeout);
    await Promise.all(closed);
    await this.#reception.closed();
    await this.#sessions.closed();
    clearTimeout(deadline);
  }

  /** All of them, which accept, or none. */
  #listenAll(listens: readonly Listen[]): Listener[] {
    const listeners: Listener[] = [];
    try {
      for (const listen of listens) {
        listeners.push(
          new Listener(listen, {
            onConnection: (link, listen) => this.#reception.welcome(link, listen),
            keepAlive: () => this.#config.tcpOption.keepalive,
            log: this.#seams.log,
            stats: this.#seams.stats,
          }),
        );
      }
    } catch (error) {
      for (const listener of listeners) void listener.close();
      throw error;
    }
    for (const listener of listeners) listener.accept();
    return listeners;
  }
}

/** Listens as `config` says and serves until `stop`. Throws, and has changed nothing, when an address cannot be had. */
export function startProxy(config: Config, seams: Seams): Proxy {
  return new Proxy(config, seams);
}
