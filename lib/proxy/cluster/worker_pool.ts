import type { Config, Listen } from "../../config.ts";
import type { EngineName } from "../../config/engines.ts";
import { openEngine } from "../../link/engine/open_engine.ts";
import type { Endpoint } from "../../link/link.ts";
import { droppedLines, type Log } from "../../log.ts";
import { addUp } from "./add_up.ts";
import type { DataPlane, IoInfo, SessionPage, SessionQuery, Snapshot } from "../data_plane.ts";
import { reservePort } from "../front/listener.ts";
import { HostSlots, type Slots } from "../host_slots.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Offers } from "./offers.ts";
import { connectPort, type Remote } from "./rpc.ts";
import type { SessionInfo } from "../session/session_record.ts";
import { MOST_HOSTS, SharedState } from "../shared_state.ts";
import { keyOf } from "../upstream/host_state.ts";
import { Visitors } from "../front/visitors.ts";
import { within } from "../../within.ts";
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

/** The data plane in threads of its own, one a core by default. */
export class WorkerPool implements DataPlane {
  readonly #workers: Worker[] = [];
  readonly #remotes: Remote<WorkerMethods>[] = [];
  readonly #visitors: Visitors;
  /** From `start` on, as the sweep is. */
  #heartbeat!: Heartbeat<Remote<WorkerMethods>>;
  /** What each thread said last of itself: what a hung one has counted does not go. */
  readonly #snapshots: Snapshot[] = [];
  /** How the threads have their sockets, and why not as it was asked for. */
  engine: IoInfo = { name: "deno" };
  #shutdownTimeout: number;
  #sweep: ReturnType<typeof setInterval> | undefined;
  readonly #failed = Promise.withResolvers<never>();
  /** What is listened on: as the configuration has it, and with the port that was had. */
  #listens: { wanted: Listen; had: Listen }[] = [];
  readonly #shared = new SharedState();
  readonly #hostSlots = new HostSlots(this.#shared);
  /** Hosts that have no slot, of which each thread knows its own part. */
  #beyond = 0;
  readonly #log: Log;

  /** Use `startWorkers`. */
  constructor(config: Config, log: Log) {
    this.#log = log;
    this.#visitors = new Visitors(config.limits, () => performance.now());
    this.#shutdownTimeout = config.shutdownTimeout;
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

  /** Starts the threads. Rejects when an address cannot be had. */
  async start(config: Config): Promise<void> {
    this.engine = await tryEngine(config.io);
    this.#listens = this.#reserve(config.listen);
    const count = workersOf(config);
    const secret = crypto.getRandomValues(new Uint8Array(32)).toHex();
    if (!Deno.env.has(EVENT_INTERVAL)) Deno.env.set(EVENT_INTERVAL, "4");
    for (let index = 0; index < count; index++) this.#remotes.push(this.#startThread());
    const { name } = this.engine;
    await Promise.race([this.failed, Promise.all(this.#remotes.map((remote) => remote.open(name)))]);
    const listening = count === 1 ? [] : this.#remotes.map((remote) => remote.listenForPeers());
    const peers = await Promise.race([this.failed, Promise.all(listening)]);
    const buffers = { shared: this.#shared.buffer, offers: Offers.of(count).buffer };
    const options = { config: withPorts(config, this.#listens), peers, secret, ...buffers };
    const started = this.#spread(config, (remote, slots, index) => remote.start({ ...options, index, slots }));
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
    const [first, ...others] = Object.values(this.#snapshots);
    if (!first) throw new Error("Cannot tell of the sessions: no thread answers");
    const { upstreams, gauges: { draining, cacheHighWater } } = first;
    const sum = others.reduce((sum, { stats, gauges }) => addUp(sum, { stats, gauges }), {
      stats: first.stats,
      gauges: first.gauges,
    });
    // This thread has a log of its own; what follows is the same in all threads.
    const logDropped = sum.gauges.logDropped + droppedLines();
    const gauges = { ...sum.gauges, logDropped, draining, cacheHighWater };
    return { stats: sum.stats, gauges, upstreams, io: this.engine, threads: this.#threads() };
  }

  async sessions(query: SessionQuery): Promise<SessionPage> {
    const pages = await this.#heartbeat.ask((remote) => remote.sessions(query));
    return {
      total: pages.reduce((sum, page) => sum + (page?.total ?? 0), 0),
      sessions: pages.flatMap((page) => page?.sessions ?? []).slice(0, query.limit),
    };
  }

  async session(id: number): Promise<SessionInfo | undefined> {
    const found = await this.#heartbeat.ask((remote) => remote.session(id));
    return found.find((session) => session !== undefined);
  }

  async endSession(id: number): Promise<boolean> {
    return (await this.#heartbeat.ask((remote) => remote.endSession(id))).includes(true);
  }

  async reconfigure(config: Config): Promise<void> {
    const [hung] = this.hung;
    if (hung !== undefined) throw new Error(`Cannot go by another configuration: thread ${hung} does not answer`);
    const listens = this.#reserve(config.listen);
    const resolved = withPorts(config, listens);
    await this.#spread(config, (remote, slots) => remote.reconfigure(resolved, slots));
    this.#listens = listens;
    this.#visitors.limits = config.limits;
    this.#shutdownTimeout = config.shutdownTimeout;
  }

  async drain(): Promise<void> {
    await this.#heartbeat.ask((remote) => remote.drain());
  }

  /** A thread that does not come to its end in time is ended as it is. */
  async stop(): Promise<void> {
    await within(this.#shutdownTimeout + LAST_WORDS, Promise.all(this.#remotes.map((remote) => remote.stop())));
    this.terminate();
  }

  /** Ends the threads at once, whatever they are doing. */
  terminate(): void {
    for (const worker of this.#workers) worker.terminate();
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
    const visitors = this.#visitors;
    return connectPort<WorkerMethods>(worker, {
      begin: (address: string) => visitors.begin(address),
      end: (address: string) => visitors.end(address),
      refusesResume: (address: string) => visitors.refusesResume(address),
      resumeFailed: (address: string) => visitors.resumeFailed(address),
      tellClosed: (by: number, number: number) => void this.#remotes[by]?.ownerClosed(number),
    });
  }

  /** The port of each address: that which it has already, or a free one. Throws when one cannot be had. */
  #reserve(listens: readonly Listen[]): { wanted: Listen; had: Listen }[] {
    const left = [...this.#listens];
    return listens.map((wanted) => {
      const at = left.findIndex(({ wanted: { hostname, port } }) =>
        hostname === wanted.hostname && port === wanted.port
      );
      if (at >= 0) return { wanted, had: { ...wanted, port: left.splice(at, 1)[0]!.had.port } };
      // A port that is ours, at another address: strangers do not have it.
      const isOurs = this.#listens.some(({ had }) => had.port === wanted.port);
      return { wanted, had: { ...wanted, port: isOurs ? wanted.port : reservePort(wanted) } };
    });
  }
}

function withPorts(config: Config, listens: readonly { had: Listen }[]): Config {
  return { ...config, listen: listens.map(({ had }) => had) };
}

/** Which one works here: it is found out once, for all threads. */
async function tryEngine(wanted: EngineName): Promise<IoInfo> {
  const { engine, ...more } = openEngine(wanted);
  await engine.close();
  return { name: engine.name, ...more };
}

/** Only Linux spreads the connections of an address over the sockets that share it. */
function workersOf({ workers }: Config): number {
  if (workers !== "auto") return workers;
  return Deno.build.os === "linux" ? Math.min(navigator.hardwareConcurrency, MOST_WORKERS) : 1;
}

/** Listens as `config` says and serves until `stop`, in `workers` threads. Rejects when an address cannot be had. */
export async function startWorkers(config: Config, log: Log): Promise<WorkerPool> {
  const pool = new WorkerPool(config, log);
  try {
    await pool.start(config);
    return pool;
  } catch (error) {
    pool.terminate();
    throw error;
  }
}
