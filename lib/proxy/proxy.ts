import { type Public, publicsOf } from "./publics.ts";
import type { Config, Listen } from "../config.ts";
import { Descriptors } from "../link/engine/passing/descriptors.ts";
import type { RemainsOfKcp } from "../link/kcp/conversation.ts";
import type { Came } from "../link/kcp/away.ts";
import { type KcpGauges, newKcpGauges } from "../link/kcp/kcp_stats.ts";
import { Newcomers } from "../link/kcp/newcomers.ts";
import type { ClientLink, Endpoint, Link, Transport } from "../link/link.ts";
import { droppedLines } from "../log.ts";
import type { Dialect } from "../scp/mod.ts";
import { Admission } from "./front/admission.ts";
import { CacheBudget, cacheLimitOf } from "./session/cache/cache_budget.ts";
import {
  type Gauges,
  isAccepting,
  type ListeningState,
  type MoveOutcome,
  pageOf,
  type PassableDataPlane,
  type PassedListener,
  type SessionPage,
  type SessionQuery,
  type Snapshot,
} from "./data_plane.ts";
import { KcpListener } from "./front/kcp/kcp_listener.ts";
import { isSameAddress, isSamePort, Listener } from "./front/listener.ts";
import { Reception } from "./front/reception.ts";
import type { HandedOver, Inherited, KcpPlace, Seams } from "./seams.ts";
import { tcpOptionsOf } from "./tcp_options.ts";
import type { SessionInfo } from "./session/session_record.ts";
import { InFlight } from "./session/in_flight.ts";
import type { Moved, MovedIds } from "./session/move/moved.ts";
import type { Packed } from "./session/move/packed.ts";
import { SessionTable } from "./session/session_table.ts";
import { Upstreams } from "./upstream/upstream.ts";
import { Visitors } from "./front/visitors.ts";

/**
 * Milliseconds between two looks at all sessions, and at how late the event loop is. Each wakes an idle thread two or three
 * times: a timer of more than 64 ms moves, before it is due, into a finer slot of the runtime's.
 */
const TICK = 1000;

/** A running proxy: the data plane in this thread. */
export class Proxy implements PassableDataPlane {
  #config: Config;
  readonly #seams: Seams;
  readonly #visitors: Visitors;
  readonly #admission: Admission;
  readonly #budget: CacheBudget;
  readonly #inFlight: InFlight;
  readonly #upstreams: Upstreams;
  readonly #sessions: SessionTable;
  readonly #reception: Reception;
  readonly #newcomers: Newcomers;
  readonly #timer: ReturnType<typeof setInterval>;
  #listeners: (Listener | KcpListener)[] = [];
  /** Those that may be opened again, and whose conversations live on. */
  readonly #closed = new Set<KcpListener>();
  /** Settles when it listens everywhere. Rejects when an address cannot be had, of which that is known only then. */
  readonly ready: Promise<void>;
  #stopped = false;

  /** Use `startProxy`. */
  constructor(config: Config, seams: Seams, inherited?: Inherited) {
    this.#config = config;
    this.#seams = seams;
    this.#visitors = new Visitors(config.limits, seams.now);
    const { shared: sharedState, gate = this.#visitors, cluster } = seams;
    this.#admission = new Admission(config, { shared: sharedState, gate });
    this.#budget = new CacheBudget(cacheLimitOf(config.limits.cacheBytes), sharedState);
    this.#inFlight = new InFlight(config.scp.inFlight === "bounded", seams.engine);
    this.#upstreams = new Upstreams(seams, { checks: cluster.self.thread === 0 });
    const shared = { seams, budget: this.#budget, config: () => this.#config };
    this.#sessions = new SessionTable({
      ...{ ...shared, inFlight: this.#inFlight, upstreams: this.#upstreams },
      adoptKcp: (fd, remains) => this.#adoptKcp(fd, remains),
    });
    this.#reception = new Reception({ ...shared, admission: this.#admission, sessions: this.#sessions });
    this.#newcomers = new Newcomers(seams.engine.canShareDatagrams ? seams.kcpThreads?.count : 1);
    this.#listeners = this.#listenAll(config, inherited);
    if (!inherited) startAccepting(this.#listeners);
    else for (const listener of this.#listeners) if (listener instanceof KcpListener) listener.isOpen = false;
    this.ready = readyAll(this.#listeners);
    this.ready.catch(() => {}); // whoever waits for it is told
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
    return Promise.resolve(this.#sessions.describeOne(id));
  }

  endSession(id: number): Promise<boolean> {
    const session = this.#sessions.get(id);
    session?.abort("admin");
    return Promise.resolve(session !== undefined);
  }

  moveSession(id: number, url: string): Promise<MoveOutcome> {
    const session = this.#sessions.get(id);
    if (!session) return Promise.resolve("not there");
    if (session.version === 1) return Promise.resolve("version 1");
    return Promise.resolve(session.move(url) ? "moved" : "away");
  }

  moveOff(instance: string, most: number, elsewhere: readonly Public[] = []): Promise<number> {
    const own = this.#reception.draining ? [] : publicsOf(this.#config);
    const urlFor = (transport: Transport, dialect: Dialect) =>
      // Only of the same scheme: a client refuses another one.
      [...own, ...elsewhere].find((each) => each.dialect === dialect && each.url.startsWith(`${transport}://`))?.url ??
        "";
    return Promise.resolve(this.#sessions.moveOff(instance, most, urlFor));
  }

  async reconfigure(config: Config): Promise<void> {
    if (this.#stopped) throw new Error("Cannot go by another configuration: the proxy has been stopped");
    const left = [...this.#listeners];
    const closed = [...this.#closed].filter(({ isReady }) => isReady);
    const plan = config.listen.map((listen) => ({ listen, listener: taken(left, listen) ?? taken(closed, listen) }));
    const missing = plan.filter(({ listener }) => !listener).map(({ listen }) => listen);
    const opened = this.#listenAll({ ...config, listen: missing });
    startAccepting(opened);
    await readyAll(opened).catch(async (error) => {
      await Promise.all(opened.map(giveUp));
      throw error;
    });
    this.#listeners = plan.map(({ listener }) => listener ?? opened.shift()!);
    this.#config = config;
    this.#budget.limit = cacheLimitOf(config.limits.cacheBytes);
    this.#inFlight.isBounded = config.scp.inFlight === "bounded";
    this.#visitors.limits = config.limits;
    this.#admission.reconfigure(config);
    this.#upstreams.reconfigure(config);
    const tcp = tcpOptionsOf(config.tcpOption);
    for (const { listen, listener } of plan) {
      listener?.reconfigure(listen, tcp);
      if (listener instanceof KcpListener) this.#closed.delete(listener);
    }
    await Promise.all(left.map((listener) => this.#close(listener)));
  }

  /** Takes a connection of a client of ours that a peer has: see `Reception.takeOver`. */
  takeOver(link: ClientLink, read: () => Promise<HandedOver>): void {
    this.#reception.takeOver(link, read);
  }

  /** See `SessionTable.ids`. */
  movedIds(): MovedIds {
    return this.#sessions.ids;
  }

  /** Gives all sessions away: see `SessionTable.moveOut`. */
  moveOut(most?: number): AsyncGenerator<Packed[], void, void> {
    return this.#sessions.moveOut(most);
  }

  /** See `SessionTable.moveLate`. */
  moveLate(): AsyncGenerator<Packed[], void, void> {
    return this.#sessions.moveLate();
  }

  /** See `SessionTable.readMoved`. */
  readMoved(data: unknown, descriptors: number): Moved {
    return this.#sessions.readMoved(data, descriptors);
  }

  /** Takes what another gave: see `SessionTable.moveIn`. */
  moveIn(data: unknown, descriptors: readonly number[]): void {
    const kind = this.#sessions.moveIn(data, descriptors, (address) => this.#admission.take(address));
    // All conversations are here: what comes of one before that would be nobody's.
    if (kind === "end") {
      for (const listener of this.#listeners) if (listener instanceof KcpListener) listener.accept();
    }
  }

  /** Another thread has a conversation of KCP whose datagrams come here: gives whether they do. See `KcpThreads`. */
  redirectKcp(conversation: KcpPlace & { conv: number }, thread: number): boolean {
    return this.#kcpListeners.some((listener) => listener.redirect(conversation, thread));
  }

  releaseKcp(place: KcpPlace): void {
    for (const listener of this.#kcpListeners) listener.release(place);
  }

  /** Takes what came to a socket of another thread for conversations of this one. */
  takeKcp(cookie: number, came: readonly Came[]): void {
    for (const listener of this.#kcpListeners) listener.take(cookie, came);
  }

  /** Takes what came to a socket of this thread while another process reads that. */
  hearKcp(cookie: number, came: readonly Came[]): void {
    for (const listener of this.#kcpListeners) listener.hear(cookie, came);
  }

  // deno-lint-ignore require-await -- it rejects
  async passListeners(): Promise<PassedListener[]> {
    using made = new Descriptors();
    const passed = this.#listeners.map((listener) => {
      const { listen: { hostname, port }, address } = listener;
      const isKcp = listener instanceof KcpListener;
      return { hostname, port, hadPort: address.port, isKcp, descriptors: listener.duplicate(made) };
    });
    made.take();
    return passed;
  }

  async setListening(state: ListeningState): Promise<void> {
    // Nobody else listens here: what has left for another process went with that.
    if (isAccepting(state)) this.#sessions.forgetLeft();
    // The other process has given all, or is gone.
    if (state === "on") this.#sessions.forgetComing();
    for (const listener of this.#listeners) {
      if (listener instanceof Listener) {
        if (isAccepting(state)) listener.accept();
        else listener.pause();
      } else {
        if (state === "on") listener.accept();
        else listener.isOpen = false;
        if (state === "streams" || state === "still") listener.pause();
      }
    }
    if (state === "left") {
      const left = this.#listeners.filter((listener) => listener instanceof Listener);
      this.#listeners = this.#listeners.filter((listener) => !(listener instanceof Listener));
      await Promise.all(left.map(giveUp));
    }
    if (state !== "off") return;
    // A session that began now could not be resumed: nobody comes here any more.
    this.#reception.close();
    // What is another's is not read here any more.
    await Promise.all(this.#listeners.splice(0).map(giveUp));
  }

  drain(): Promise<void> {
    this.#reception.draining = true;
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#upstreams.stop();
    const closed = this.#listeners.map((listener) => this.#close(listener));
    this.#reception.close();
    this.#sessions.stop();
    const deadline = setTimeout(() => {
      this.#sessions.abort("shutdown_timeout is over");
    }, this.#config.shutdownTimeout);
    await Promise.all(closed);
    await this.#reception.closed();
    await this.#sessions.closed();
    clearInterval(this.#timer); // till then sessions are looked at: acknowledgements, and dead links, wait for that
    this.#inFlight.stop();
    clearTimeout(deadline);
    await Promise.all([...this.#closed].map((listener) => listener.stop()));
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
      carrying: this.#seams.cluster.carrying ?? 0,
      draining: this.#reception.draining,
      cacheBytes: this.#budget.inUse,
      cacheHighWater: this.#budget.highWater,
      cachesReleased: this.#budget.released,
      cachesShrunk: this.#budget.shrunk,
      keysWaiting: this.#reception.keysWaiting,
      kcp: this.#kcp(),
      logDropped: droppedLines(),
    };
  }

  #kcp(): KcpGauges {
    const sum = newKcpGauges();
    for (const listener of this.#kcpListeners) listener.addTo(sum);
    sum.unproven = this.#newcomers.size;
    return sum;
  }

  /** The port to listen on: one that strangers do not have. */
  #portOf(listen: Listen): number {
    const isOurs = this.#listeners.some(({ address: { port }, listen: { kcp } }) => isSamePort({ port, kcp }, listen));
    return isOurs ? listen.port : this.#seams.portOf(listen);
  }

  /** All of them, or none. */
  #listenAll({ listen: listens, tcpOption }: Config, inherited?: Inherited): (Listener | KcpListener)[] {
    const listeners: (Listener | KcpListener)[] = [];
    try {
      for (const [i, listen] of listens.entries()) listeners.push(this.#open(listen, tcpOption, inherited?.[i]));
    } catch (error) {
      for (const listener of listeners) void giveUp(listener);
      throw error;
    }
    return listeners;
  }

  #open(listen: Listen, tcpOption: Config["tcpOption"], descriptors?: readonly number[]): Listener | KcpListener {
    const { engine, log, stats, cluster: { self: { thread } }, kcpThreads: threads } = this.#seams;
    const port = this.#portOf(listen);
    const options = {
      ...{ engine, log, stats },
      onConnection: (link: ClientLink, listen: Listen) => this.#reception.welcome(link, listen),
    };
    const { kcp } = listen;
    if (kcp) {
      const ofKcp = { thread, threads, newcomers: this.#newcomers, descriptors };
      return new KcpListener({ ...listen, kcp }, port, { ...options, ...ofKcp });
    }
    const tcp = tcpOptionsOf(tcpOption);
    return new Listener(listen, port, { ...options, backlog: tcpOption.backlog, tcp, descriptors });
  }

  #adoptKcp(fd: number, remains: RemainsOfKcp): Link {
    const { hostname, port } = remains.conversation.place.at;
    const listener = this.#kcpListeners.find(({ address }) => address.hostname === hostname && address.port === port);
    if (listener) return listener.adopt(fd, remains);
    new Descriptors([fd])[Symbol.dispose]();
    throw new Error("nobody listens where its conversation is");
  }

  get #kcpListeners(): KcpListener[] {
    return [...new Set([...this.#listeners, ...this.#closed])].filter((listener) => listener instanceof KcpListener);
  }

  async #close(listener: Listener | KcpListener): Promise<void> {
    if (listener instanceof KcpListener) this.#closed.add(listener);
    await listener.close();
  }
}

/** That of the same address, which is taken out of them. */
function taken<T extends Listener | KcpListener>(listeners: T[], listen: Listen): T | undefined {
  const at = listeners.findIndex((listener) => isSameAddress(listener.listen, listen));
  return at < 0 ? undefined : listeners.splice(at, 1)[0];
}

/** Whoever comes, or has come by KCP, is not served. */
async function giveUp(listener: Listener | KcpListener): Promise<void> {
  await (listener instanceof KcpListener ? listener.stop() : listener.close());
}

/** Has those of TCP take connections. */
function startAccepting(listeners: readonly (Listener | KcpListener)[]): void {
  for (const listener of listeners) if (listener instanceof Listener) listener.accept();
}

/** Settles when each of them listens. Rejects when one cannot. */
async function readyAll(listeners: readonly (Listener | KcpListener)[]): Promise<void> {
  await Promise.all(listeners.map(({ ready }) => ready));
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

/**
 * Listens as `config` says and serves until `stop`. What is inherited is had from the start, and nobody is accepted before
 * `setListening`. Throws, and has changed nothing, when an address cannot be had.
 */
export function startProxy(config: Config, seams: Seams, inherited?: Inherited): Proxy {
  return new Proxy(config, seams, inherited);
}
