import type { Config, Listen } from "../config.ts";
import type { ClientLink, Endpoint } from "../link/link.ts";
import { droppedLines } from "../log.ts";
import { Admission } from "./front/admission.ts";
import { CacheBudget, cacheLimitOf } from "./session/cache_budget.ts";
import {
  type DataPlane,
  type Gauges,
  pageOf,
  type SessionPage,
  type SessionQuery,
  type Snapshot,
} from "./data_plane.ts";
import { isSameAddress, Listener } from "./front/listener.ts";
import { Reception } from "./front/reception.ts";
import type { Preface, Seams } from "./seams.ts";
import { tcpOptionsOf } from "./tcp_options.ts";
import type { SessionInfo } from "./session/session_record.ts";
import { InFlight } from "./session/in_flight.ts";
import { SessionTable } from "./session/session_table.ts";
import { Upstreams } from "./upstream/upstream.ts";
import { Visitors } from "./front/visitors.ts";

/**
 * Milliseconds between two looks at all sessions, and at how late the event loop is. Each wakes an idle thread two or three
 * times: a timer of more than 64 ms moves, before it is due, into a finer slot of the runtime's.
 */
const TICK = 1000;

/** A running proxy: the data plane in this thread. */
export class Proxy implements DataPlane {
  #config: Config;
  readonly #seams: Seams;
  readonly #visitors: Visitors;
  readonly #admission: Admission;
  readonly #budget: CacheBudget;
  readonly #inFlight: InFlight;
  readonly #upstreams: Upstreams;
  readonly #sessions: SessionTable;
  readonly #reception: Reception;
  readonly #timer: ReturnType<typeof setInterval>;
  #listeners: Listener[] = [];
  #stopped = false;

  /** Use `startProxy`. */
  constructor(config: Config, seams: Seams) {
    this.#config = config;
    this.#seams = seams;
    this.#visitors = new Visitors(config.limits, seams.now);
    const { shared: sharedState, gate = this.#visitors, cluster } = seams;
    this.#admission = new Admission(config, { shared: sharedState, gate });
    this.#budget = new CacheBudget(cacheLimitOf(config.limits.cacheBytes), sharedState);
    this.#inFlight = new InFlight(config.scp.inFlight === "bounded", seams.engine);
    this.#upstreams = new Upstreams(seams, { checks: cluster.index === 0 });
    const shared = { seams, budget: this.#budget, config: () => this.#config };
    this.#sessions = new SessionTable({ ...shared, inFlight: this.#inFlight, upstreams: this.#upstreams });
    this.#reception = new Reception({ ...shared, admission: this.#admission, sessions: this.#sessions });
    this.#listeners = this.#listenAll(config);
    for (const listener of this.#listeners) listener.accept();
    this.#upstreams.reconfigure(config);
    const observe = lateness(seams.stats);
    this.#timer = setInterval(() => {
      observe();
      this.#look();
    }, TICK);
  }

  /** Where it listens, in the order of the configuration, with the ports that were had. */
  get addresses(): Endpoint[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** It is in the thread of whoever asks. */
  readonly hung: number[] = [];

  snapshot(): Promise<Snapshot> {
    const { stats, engine: { name } } = this.#seams;
    const io = { name };
    return Promise.resolve({ stats, gauges: this.#gauges(), upstreams: this.#upstreams.list(), io, threads: [true] });
  }

  sessions(query: SessionQuery): Promise<SessionPage> {
    return Promise.resolve(pageOf(this.#sessions.describe(), query));
  }

  session(id: number): Promise<SessionInfo | undefined> {
    return Promise.resolve(this.#sessions.get(id)?.describe());
  }

  endSession(id: number): Promise<boolean> {
    const session = this.#sessions.get(id);
    session?.abort("admin");
    return Promise.resolve(session !== undefined);
  }

  async reconfigure(config: Config): Promise<void> {
    if (this.#stopped) throw new Error("Cannot go by another configuration: the proxy has been stopped");
    const left = [...this.#listeners];
    const plan = config.listen.map((listen) => {
      const at = left.findIndex((listener) => isSameAddress(listener.listen, listen));
      return { listen, listener: at < 0 ? undefined : left.splice(at, 1)[0] };
    });
    const missing = plan.filter(({ listener }) => !listener).map(({ listen }) => listen);
    const opened = this.#listenAll({ ...config, listen: missing });
    for (const listener of opened) listener.accept();
    this.#listeners = plan.map(({ listener }) => listener ?? opened.shift()!);
    this.#config = config;
    this.#budget.limit = cacheLimitOf(config.limits.cacheBytes);
    this.#inFlight.isBounded = config.scp.inFlight === "bounded";
    this.#visitors.limits = config.limits;
    this.#admission.reconfigure(config);
    this.#upstreams.reconfigure(config);
    const tcp = tcpOptionsOf(config.tcpOption);
    for (const { listen, listener } of plan) listener?.reconfigure(listen, tcp);
    await Promise.all(left.map((listener) => listener.close()));
  }

  /** Takes a connection of a client of ours that a peer has: see `Reception.takeOver`. */
  takeOver(link: ClientLink, read: () => Promise<{ preface: Preface; rest: Uint8Array }>): void {
    this.#reception.takeOver(link, read);
  }

  drain(): Promise<void> {
    this.#reception.draining = true;
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#upstreams.stop();
    const closed = this.#listeners.map((listener) => listener.close());
    this.#reception.close();
    this.#sessions.stop();
    const deadline = setTimeout(() => {
      this.#sessions.abort("shutdown_timeout is over");
    }, this.#config.shutdownTimeout);
    await Promise.all(closed);
    await this.#reception.closed();
    await this.#sessions.closed();
    this.#inFlight.stop();
    clearTimeout(deadline);
  }

  #look(): void {
    void this.#sessions.look();
    this.#budget.reclaim();
    this.#visitors.sweep();
  }

  #gauges(): Gauges {
    return {
      ...this.#sessions.count(),
      handshakes: this.#reception.handshakes,
      draining: this.#reception.draining,
      cacheBytes: this.#budget.inUse,
      cacheHighWater: this.#budget.highWater,
      cachesReleased: this.#budget.released,
      cachesShrunk: this.#budget.shrunk,
      logDropped: droppedLines(),
    };
  }

  /** The port to listen on: one that strangers do not have. */
  #portOf(listen: Listen): number {
    const isOurs = this.#listeners.some(({ address }) => address.port === listen.port);
    return isOurs ? listen.port : this.#seams.portOf(listen);
  }

  /** All of them, or none. */
  #listenAll({ listen: listens, tcpOption }: Config): Listener[] {
    const listeners: Listener[] = [];
    try {
      for (const listen of listens) {
        listeners.push(
          new Listener(listen, this.#portOf(listen), {
            onConnection: (link, listen) => this.#reception.welcome(link, listen),
            engine: this.#seams.engine,
            backlog: tcpOption.backlog,
            tcp: tcpOptionsOf(tcpOption),
            log: this.#seams.log,
            stats: this.#seams.stats,
          }),
        );
      }
    } catch (error) {
      for (const listener of listeners) void listener.close();
      throw error;
    }
    return listeners;
  }
}

/** Observes, each time that it is called when it should be, how late that is. */
function lateness({ lag }: Seams["stats"]): () => void {
  let due = performance.now() + TICK;
  return () => {
    const late = performance.now() - due;
    lag.observe(Math.max(0, late) / 1000);
    due += late + TICK;
  };
}

/** Listens as `config` says and serves until `stop`. Throws, and has changed nothing, when an address cannot be had. */
export function startProxy(config: Config, seams: Seams): Proxy {
  return new Proxy(config, seams);
}
