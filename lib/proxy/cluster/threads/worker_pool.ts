import type { Public } from "../../publics.ts";
import type { Config, Listen } from "../../../config.ts";
import { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import { MessageBell } from "../../../link/engine/message_bell.ts";
import { type Came, SUCCESSOR } from "../../../link/kcp/away.ts";
import type { Endpoint, Via } from "../../../link/link.ts";
import { droppedLines, type Log } from "../../../log.ts";
import type { CarriedCounts } from "../../cluster_info.ts";
import { addUp } from "./add_up.ts";
import { Ledger } from "./counts.ts";
import { Moving } from "./moving/moving.ts";
import type { Given } from "./moving/moving_out.ts";
import {
  type Destination,
  type IoInfo,
  type ListeningState,
  mergePages,
  type MovedOut,
  type MoveOutcome,
  type PassedListener,
  type ReplaceableDataPlane,
  type SessionPage,
  type SessionQuery,
  type Snapshot,
} from "../../data_plane.ts";
import { isSameAddress, isSamePort, reservePortOf } from "../../front/listener.ts";
import { HostSlots, type Slots } from "../../host_slots.ts";
import { openEngines, type Opening } from "./engines.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Offers } from "../carry/offers.ts";
import { connectPort, type Remote } from "./rpc.ts";
import type { MovedIds } from "../../session/move/moved.ts";
import type { SessionInfo } from "../../session/session_record.ts";
import type { Inherited, KcpPlace } from "../../seams.ts";
import { MOST_HOSTS, SharedState } from "../../shared_state.ts";
import type { PeerIdentity } from "../nodes/hello_forms.ts";
import type { NodeView } from "../nodes/peers.ts";
import { type IdLayout, layoutFor } from "../../owner.ts";
import { keyOf } from "../../upstream/host_state.ts";
import { Visitors } from "../../front/visitors.ts";
import { within } from "../../../within.ts";
import type { WorkerMethods } from "./worker.ts";

/** Milliseconds between two looks at which addresses matter no more, and at which threads go on. */
const SWEEP = 1000;
/** Milliseconds that a thread may take to stop beyond `shutdown_timeout`: its log wants to be out. */
const LAST_WORDS = 3000;

/** The most workers: more would leave too few ids to each. */
const MOST_WORKERS = 64;

/**
 * The variable that says how often tokio looks at all sockets, in polls of those that are ready: by default every 61, which lets
 * a few busy connections starve many quiet ones. It is read when a thread's runtime is made.
 */
const EVENT_INTERVAL = "DENO_TOKIO_EVENT_INTERVAL";

/**
 * What another process listened on, for each listener of the configuration; missing: it did not. The descriptors are the threads' from
 * the start on: of one that fails the end of the process closes them.
 */
export type InheritedListeners = readonly (PassedListener | undefined)[];

/** What a process goes on listening by. */
export interface Listeners {
  inherited?: InheritedListeners | undefined;
  /** Where other processes come in. */
  door?: PassedListener | undefined;
}

/** Other processes, as the threads have to do with them. */
export interface Others {
  /** Who this process is for them. */
  identity: PeerIdentity;
  /** Answers what one of them asks. */
  answer: (from: PeerIdentity, method: string, args: unknown) => Promise<unknown>;
  /** Tells one of them that this end of what it carries to here is closed. */
  tellClosed: (via: Via) => void;
}

const NOTHING_CARRIED: CarriedCounts = { connections: 0, failures: 0 };

/** There are none. */
const NO_OTHERS: Others = {
  identity: { instance: "", role: "node", slot: 0, epoch: 0 },
  answer: () => Promise.reject(new Error("Cannot answer: this process is alone")),
  tellClosed: () => {},
};

/** The data plane in threads of its own, one a core by default. */
export class WorkerPool implements ReplaceableDataPlane {
  readonly #workers: Worker[] = [];
  readonly #remotes: Remote<WorkerMethods>[] = [];
  /** Of each thread; missing: it needs none, or there is none to be had. */
  readonly #bells: (MessageBell | undefined)[] = [];
  readonly #visitors: Visitors;
  /** From `start` on, as the sweep is. */
  #heartbeat!: Heartbeat<Remote<WorkerMethods>>;
  /** What each thread said last of itself: what a hung one has counted does not go. */
  readonly #snapshots: Snapshot[] = [];
  readonly #carried: [string, CarriedCounts][][] = [];
  /** How the threads have their sockets: see `IoInfo`. */
  engine: IoInfo = { name: "deno" };
  #shutdownTimeout: number;
  #upgradeTimeout: number;
  #sweep: ReturnType<typeof setInterval> | undefined;
  readonly #failed = Promise.withResolvers<never>();
  /** What is listened on: as the configuration has it, and with the port that was had. */
  #listens: { wanted: Listen; had: Listen }[] = [];
  /** Those of KCP that are closed, whose sockets the threads still have. */
  #closed: { wanted: Listen; had: Listen }[] = [];
  readonly #shared = new SharedState();
  readonly #hostSlots = new HostSlots(this.#shared);
  readonly #ledger: Ledger;
  readonly #moving: Moving;
  /** Hosts that have no slot, of which each thread knows its own part. */
  #beyond = 0;
  readonly #cluster: Config["cluster"];
  readonly #log: Log;
  readonly #others: Others;

  /** Use `startWorkers`. */
  constructor(config: Config, log: Log, others: Others) {
    this.#log = log;
    this.#others = others;
    this.#visitors = new Visitors(config.limits, () => performance.now());
    this.#ledger = new Ledger({ visitors: this.#visitors, shared: this.#shared, hostSlots: this.#hostSlots });
    this.#moving = new Moving({
      remotes: this.#remotes,
      layout: () => this.layout,
      ledger: this.#ledger,
      timeout: () => this.#upgradeTimeout,
      snapshot: () => this.snapshot(),
      end: async (isGone) => {
        const given: Given[] = [];
        await this.#heartbeat.tell(async (remote) => void given.push(await remote.endMoving(isGone)));
        return given;
      },
    });
    this.#cluster = config.cluster;
    this.#shutdownTimeout = config.shutdownTimeout;
    this.#upgradeTimeout = config.upgradeTimeout;
    this.#failed.promise.catch(() => {});
  }

  get addresses(): Endpoint[] {
    return this.#listens.map(({ had: { hostname, port } }) => ({ hostname, port }));
  }

  /** Rejects when a thread has ended that should not have. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get hung(): number[] {
    return this.#heartbeat.hung;
  }

  /** Starts the threads. Rejects when an address cannot be had. See `startWorkers`. */
  async start(config: Config, { inherited, door }: Listeners = {}): Promise<void> {
    this.#listens = this.#reserve(config.listen, inherited);
    const count = workersOf(config);
    const secret = crypto.getRandomValues(new Uint8Array(32)).toHex();
    if (!Deno.env.has(EVENT_INTERVAL)) Deno.env.set(EVENT_INTERVAL, "4");
    for (let index = 0; index < count; index++) this.#remotes.push(this.#startThread());
    this.engine = await Promise.race([this.failed, openEngines(this.#openings(), config.io)]);
    const listening = count === 1 ? [] : this.#remotes.map((remote) => remote.listenForPeers());
    const peers = await Promise.race([this.failed, Promise.all(listening)]);
    const buffers = { shared: this.#shared.buffer, offers: Offers.of(count).buffer };
    const { identity } = this.#others;
    const options = { config: withPorts(config, this.#listens), peers, secret, identity, ...buffers };
    const started = this.#spread(config, (remote, slots, index) => {
      const share = inherited &&
        { inherited: shareOf(inherited, index, count), door: shareOf([door], index, count)[0] };
      return remote.start({ ...options, ...share, index, slots });
    });
    await Promise.race([this.failed, started]);
    this.#heartbeat = new Heartbeat(this.#remotes, () => performance.now());
    this.#sweep = setInterval(() => {
      this.#visitors.sweep();
      this.#heartbeat.beat();
    }, SWEEP);
  }

  async snapshot(): Promise<Snapshot> {
    (await this.#heartbeat.ask((remote) => remote.snapshot())).forEach((snapshot, i) => {
      if (snapshot) this.#snapshots[i] = snapshot;
    });
    const snapshots = Object.values(this.#snapshots);
    const [first] = snapshots;
    if (!first) throw new Error("Cannot tell of the sessions: no thread answers");
    const { upstreams, gauges: { draining, cacheHighWater } } = first;
    const sum = snapshots.map(({ stats, gauges }) => ({ stats, gauges }))
      .reduce<Pick<Snapshot, "stats" | "gauges">>((sum, each) => addUp(sum, each), this.#ledger.before as Snapshot);
    // This thread has a log of its own; what follows is the same in all threads.
    const logDropped = sum.gauges.logDropped + droppedLines();
    const gauges = { ...sum.gauges, logDropped, draining, cacheHighWater };
    return { stats: sum.stats, gauges, upstreams, io: this.engine, threads: this.#threads() };
  }

  async sessions(query: SessionQuery): Promise<SessionPage> {
    const pages = await this.#heartbeat.ask((remote) => remote.sessions(query));
    return mergePages(pages.filter((page) => page !== undefined), query.limit);
  }

  async session(id: number): Promise<SessionInfo | undefined> {
    const found = await this.#heartbeat.ask((remote) => remote.session(id));
    return found.find((session) => session !== undefined);
  }

  async endSession(id: number): Promise<boolean> {
    return (await this.#heartbeat.ask((remote) => remote.endSession(id))).includes(true);
  }

  async moveSession(id: number, url: string): Promise<MoveOutcome> {
    const outcomes = await this.#heartbeat.ask((remote) => remote.moveSession(id, url));
    return outcomes.find((outcome) => outcome !== undefined && outcome !== "not there") ?? "not there";
  }

  async moveOff(instance: string, most: number, elsewhere?: readonly Public[]): Promise<number> {
    const share = Math.ceil(most / this.#remotes.length);
    const told = await this.#heartbeat.ask((remote) => remote.moveOff(instance, share, elsewhere));
    return told.reduce<number>((sum, n) => sum + (n ?? 0), 0);
  }

  /** The owner of what a thread carries has closed its end. */
  ownerClosed(thread: number, number: number): void {
    void this.#remotes[thread]?.ownerClosed(number);
  }

  /** This process is another one for others from now on. */
  async become(identity: PeerIdentity, mayBegin: boolean): Promise<void> {
    await this.#heartbeat.tell((remote) => remote.become(identity, mayBegin));
  }

  /** What all threads carry, and could not: see `Roads.counts`. */
  async carried(): Promise<Map<string, CarriedCounts>> {
    const sum = new Map<string, CarriedCounts>();
    (await this.#heartbeat.ask((remote) => remote.carried())).forEach((counts, i) => {
      if (counts) this.#carried[i] = counts;
    });
    for (const counts of Object.values(this.#carried)) {
      for (const [key, more] of counts) sum.set(key, addUp(sum.get(key) ?? NOTHING_CARRIED, more));
    }
    return sum;
  }

  /** What is known of all other nodes. */
  async know(views: NodeView[]): Promise<void> {
    await this.#heartbeat.tell((remote) => remote.know(views));
  }

  async reconfigure(config: Config): Promise<void> {
    const [hung] = this.hung;
    if (hung !== undefined) throw new Error(`Cannot go by another configuration: thread ${hung} does not answer`);
    const listens = this.#reserve(config.listen);
    const resolved = withPorts(config, listens);
    await this.#spread(config, (remote, slots) => remote.reconfigure(resolved, slots));
    this.#closed = [...this.#listens, ...this.#closed].filter(({ had }) =>
      had.kcp && !listens.some((each) => isSameAddress(each.had, had))
    );
    this.#listens = listens;
    this.#visitors.limits = config.limits;
    this.#shutdownTimeout = config.shutdownTimeout;
    this.#upgradeTimeout = config.upgradeTimeout;
  }

  async passListeners(): Promise<PassedListener[]> {
    const passed = await this.#passedByAll();
    return passed[0]!.map((listener, i) => ({
      ...listener,
      ...(this.#listens[i] && { port: this.#listens[i].wanted.port }),
      descriptors: passed.flatMap((listeners) => listeners[i]!.descriptors),
    }));
  }

  async setListening(state: ListeningState): Promise<void> {
    const set = (remote: Remote<WorkerMethods>) => remote.setListening(state);
    // One that is hung hears of it when it goes on: clients wait there, and nobody else accepts them.
    await (state === "on" ? this.#heartbeat.tell(set) : this.#askAll(set));
  }

  async sessionIds(): Promise<MovedIds> {
    const [first, ...others] = await this.#askAll((remote) => remote.movedIds());
    return { ...first!, ids: [first!, ...others].flatMap(({ ids }) => ids) };
  }

  get layout(): IdLayout {
    return layoutFor(this.#cluster, this.#remotes.length);
  }

  moveOut(to: Destination): AsyncGenerator<MovedOut, void, void> {
    return this.#moving.moveOut(to);
  }

  moveLate(to: Destination): AsyncGenerator<MovedOut, void, void> {
    return this.#moving.moveLate(to);
  }

  endMoving(isGone: boolean): Promise<MovedOut> {
    return this.#moving.endMoving(isGone);
  }

  takeSessions(thread: number, lane: number): void {
    this.#remotes[thread]!.takeSessions(lane).catch(() => {}); // the lane is closed, which the other process hears of
  }

  assertMovable(data: unknown, descriptors: number): void {
    this.#moving.assertMovable(data, descriptors);
  }

  moveIn(data: unknown, descriptors: readonly number[]): Promise<void> {
    return this.#moving.moveIn(data, descriptors);
  }

  hearDatagrams(cookie: number, came: readonly Came[]): void {
    this.#moving.hearDatagrams(cookie, came);
  }

  async drain(): Promise<void> {
    await this.#heartbeat.tell((remote) => remote.drain());
  }

  /** A thread that does not come to its end in time, or as it should, is ended as it is. */
  async stop(): Promise<void> {
    const stops = this.#remotes.map((remote, thread) =>
      remote.stop().catch(({ message }) =>
        this.#log.error("cannot stop a thread in order", { thread, reason: message })
      )
    );
    await within(this.#shutdownTimeout + LAST_WORDS, Promise.all(stops));
    this.terminate();
  }

  /** Ends the threads at once, whatever they are doing. */
  terminate(): void {
    for (const worker of this.#workers) worker.terminate();
    for (const bell of this.#bells) bell?.close();
    clearInterval(this.#sweep);
  }

  /** Has `tell` tell each thread of the hosts of a configuration. */
  async #spread(
    { hosts }: Config,
    tell: (remote: Remote<WorkerMethods>, slots: Slots, index: number) => Promise<void>,
  ): Promise<void> {
    const before = this.#beyond;
    const tellAll = (slots: Slots) => Promise.all(this.#remotes.map((remote, index) => tell(remote, slots, index)));
    this.#beyond = await this.#hostSlots.spread(new Set(hosts.map(keyOf)), tellAll);
    if (before > 0 || this.#beyond === 0 || this.#remotes.length === 1) return;
    this.#log.warning("too many hosts to know of together", { beyond: this.#beyond, most: MOST_HOSTS });
  }

  /** What each thread passes, or nothing. */
  async #passedByAll(): Promise<PassedListener[][]> {
    let isLate = false;
    const passed = await this.#heartbeat.ask(async (remote) => {
      const [result] = await Promise.allSettled([remote.passListeners()]);
      if (isLate && result.status === "fulfilled") closeAll([result.value]);
      return result;
    });
    isLate = true;
    const values = passed.flatMap((result) => result?.status === "fulfilled" ? [result.value] : []);
    if (values.length === passed.length) return values;
    closeAll(values);
    const refused = passed.find((result) => result?.status === "rejected") as PromiseRejectedResult | undefined;
    throw refused?.reason ?? new Error(`thread ${passed.indexOf(undefined)} does not answer`);
  }

  /** Asks every thread, none of which may be hung. */
  async #askAll<R>(call: (remote: Remote<WorkerMethods>) => Promise<R>): Promise<R[]> {
    const answers = await this.#heartbeat.ask(async (remote) => ({ value: await call(remote) }));
    return answers.map((answer, thread) => {
      if (!answer) throw new Error(`thread ${thread} does not answer`);
      return answer.value;
    });
  }

  #threads(): boolean[] {
    const { hung } = this;
    return this.#remotes.map((_, i) => !hung.includes(i));
  }

  #startThread(): Remote<WorkerMethods> {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#failed.reject(new Error(`a worker has failed: ${event.message}`));
    });
    this.#workers.push(worker);
    const index = this.#workers.length - 1;
    const visitors = this.#visitors;
    const methods = {
      begin: (address: string) => visitors.begin(address),
      take: (address: string) => visitors.take(address),
      end: (address: string) => visitors.end(address),
      refusesResume: (address: string) => visitors.refusesResume(address),
      resumeFailed: (address: string) => visitors.resumeFailed(address),
      tellThread: (by: number, number: number) => this.ownerClosed(by, number),
      tellNode: (via: Via) => this.#others.tellClosed(via),
      redirectKcp: async (conversation: KcpPlace & { conv: number }, thread: number) =>
        (await Promise.all(this.#remotes.map((remote) => remote.redirectKcp(conversation, thread)))).includes(true),
      releaseKcp: (place: KcpPlace) => this.#remotes.forEach((remote) => void remote.releaseKcp(place)),
      giveKcp: (thread: number, cookie: number, came: Came[]) => {
        if (thread === SUCCESSOR) this.#moving.onDatagrams?.(cookie, came);
        else void this.#remotes[thread]!.takeKcp(cookie, came);
      },
      openLane: (thread: number) => this.#moving.openLane(thread),
      answerPeer: (from: PeerIdentity, method: string, args: unknown) => this.#others.answer(from, method, args),
    };
    return connectPort<WorkerMethods>(worker, methods, () => this.#bells[index]?.ring());
  }

  #openings(): Opening[] {
    const bellOf = (i: number) => this.#bells[i] ??= MessageBell.open();
    // Deno's own loop hears messages as soon as anything else.
    return this.#remotes.map((remote, i) => ({
      open: (io) => remote.open(io, io === "deno" ? undefined : bellOf(i)?.far),
    }));
  }

  /** The port of each address: that which it has already, or a free one. Throws when one cannot be had. */
  #reserve(listens: readonly Listen[], inherited: InheritedListeners = []): { wanted: Listen; had: Listen }[] {
    const left = [...this.#listens, ...this.#closed];
    return listens.map((wanted, i) => {
      if (inherited[i]) return { wanted, had: { ...wanted, port: inherited[i].hadPort } };
      const at = left.findIndex((each) => isSameAddress(each.wanted, wanted));
      if (at >= 0) return { wanted, had: { ...wanted, port: left.splice(at, 1)[0]!.had.port } };
      // A port that is ours, at another address: strangers do not have it.
      const isOurs = [...this.#listens, ...this.#closed].some(({ had }) => isSamePort(had, wanted));
      return { wanted, had: { ...wanted, port: isOurs ? wanted.port : reservePortOf(wanted) } };
    });
  }
}

function closeAll(passed: readonly PassedListener[][]): void {
  new Descriptors(passed.flat().flatMap(({ descriptors }) => descriptors))[Symbol.dispose]();
}

/** What of that is one thread's of so many. */
function shareOf(inherited: InheritedListeners, index: number, count: number): Inherited {
  return inherited.map((listener) => listener?.descriptors.filter((_, i) => i % count === index));
}

function withPorts(config: Config, listens: readonly { had: Listen }[]): Config {
  return { ...config, listen: listens.map(({ had }) => had) };
}

/** Only Linux spreads the connections of an address over the sockets that share it. */
function workersOf({ workers, cluster }: Config): number {
  if (workers !== "auto") return workers;
  const most = Math.min(MOST_WORKERS, cluster?.threads ?? MOST_WORKERS);
  return Deno.build.os === "linux" ? Math.min(navigator.hardwareConcurrency, most) : 1;
}

/**
 * Listens as `config` says and serves until `stop`, in `workers` threads. `others`: missing, when it is alone. `inherited`: nobody is
 * accepted before `setListening` then, at the `door` neither. Rejects when an address cannot be had.
 */
export async function startWorkers(
  config: Config,
  log: Log,
  { others = NO_OTHERS, ...listeners }: { others?: Others } & Listeners = {},
): Promise<WorkerPool> {
  const pool = new WorkerPool(config, log, others);
  try {
    await pool.start(config, listeners);
    return pool;
  } catch (error) {
    pool.terminate();
    throw error;
  }
}
