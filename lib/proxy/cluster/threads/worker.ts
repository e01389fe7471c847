/** A worker: a thread with a data plane of its own. See `worker_pool.ts`, which starts it. */
import type { Public } from "../../publics.ts";
import type { Config } from "../../../config.ts";
import type { EngineName } from "../../../config/engines.ts";
import type { Engine, Listening } from "../../../link/engine/engine.ts";
import { openEngine } from "../../../link/engine/open_engine.ts";
import { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import { Parcel } from "../../../link/engine/passing/parcel.ts";
import { System } from "../../../link/engine/system.ts";
import { type Came, SUCCESSOR } from "../../../link/kcp/away.ts";
import type { Endpoint, Via } from "../../../link/link.ts";
import { flushLog, type Log, logInternalErrors, openLog } from "../../../log.ts";
import type { ListeningState, PassedListener, SessionQuery } from "../../data_plane.ts";
import type { Slots } from "../../host_slots.ts";
import type { IdLayout } from "../../owner.ts";
import { type Proxy, startProxy } from "../../proxy.ts";
import type { Gate, Inherited, KcpPlace, Seams } from "../../seams.ts";
import type { Moved } from "../../session/move/moved.ts";
import { SharedState } from "../../shared_state.ts";
import { systemSeams } from "../../system_seams.ts";
import { Offers } from "../carry/offers.ts";
import type { PeerIdentity } from "../nodes/hello_forms.ts";
import { Identities } from "../nodes/identities.ts";
import type { NodeView } from "../nodes/peers.ts";
import { Member } from "./member.ts";
import { takeSessions } from "./moving/moving_in.ts";
import { MovingOut } from "./moving/moving_out.ts";
import { connectPort, type Port } from "./rpc.ts";

/** Connections of other threads that may wait to be accepted. */
const PEER_BACKLOG = 4096;

/** What a worker starts from. */
export interface WorkerOptions {
  /** With the ports that are to be had. */
  config: Config;
  /** Which of the threads this is, from 0. */
  index: number;
  /** Where each takes connections for sessions that are its own; none: it is alone. */
  peers: Endpoint[];
  /** What a peer has to say first. */
  secret: string;
  /** See `SharedState` and `Offers`. */
  shared: SharedArrayBuffer;
  offers: SharedArrayBuffer;
  /** Of the hosts of the configuration: see `HostSlots`. */
  slots: Slots;
  /** See `startProxy`, and `MemberOptions`. */
  inherited?: Inherited;
  door?: readonly number[] | undefined;
  /** Who this process is for others; of one that is alone it means nothing. */
  identity: PeerIdentity;
}

let proxy: Proxy;
let movingOut: MovingOut;
let config: Config;
let identities: Identities;
let slots: Slots;
let engine: Engine;
let log: Log;
let peerListening: Listening | undefined;
let member: Member | undefined;

/** What the maker of a worker may ask of it; first of all, to `open`, and then to `start`. */
const methods = {
  /**
   * Has sockets by that engine, in place of another, if so. Rejects when it cannot be had: as one thread, so all. `bell`: see
   * `Engine.hearMessages`.
   */
  async open(io: EngineName, bell?: number): Promise<void> {
    await (engine as Engine | undefined)?.close();
    const opened = openEngine(io);
    ({ engine } = opened);
    if (opened.why !== undefined) throw new Error(opened.why);
    if (bell !== undefined) engine.hearMessages?.(bell);
  },
  /** Where it takes what other threads hand over; one that is alone is not asked. */
  listenForPeers(): Endpoint {
    const options = { backlog: PEER_BACKLOG, isShared: false, tcp: {} };
    peerListening = engine.listen({ hostname: "127.0.0.1", port: 0 }, options);
    return peerListening.address;
  },
  async start(options: WorkerOptions): Promise<void> {
    const { shared } = options;
    ({ config, slots } = options);
    identities = new Identities(options.identity);
    log = openLog(config.log);
    logInternalErrors(log);
    const seams = systemSeams(log, engine);
    if (peerListening || config.cluster) member = openMember(options, seams);
    proxy = startProxy(config, {
      ...seams,
      shared: new SharedState(shared),
      assignSlots: () => ({ slots, settled: () => {} }),
      ...(member && { cluster: member }),
      gate: maker,
      kcpThreads: {
        count: Math.max(1, options.peers.length),
        redirect: (conversation) => maker.redirectKcp(conversation, options.index),
        release: (place) => void maker.releaseKcp(place),
        leave: (conversation) => void maker.redirectKcp(conversation, SUCCESSOR),
        give: (thread, cookie, came) => void maker.giveKcp(thread, cookie, came),
      },
      portOf: ({ port }) => port,
    }, options.inherited);
    movingOut = new MovingOut({
      proxy,
      engine,
      now: monotonicNow,
      timeout: () => config.upgradeTimeout,
      openLane: (thread) => maker.openLane(thread),
    });
    member?.accept((link, read) => proxy.takeOver(link, read));
    await proxy.ready;
  },
  /** Rejects when it serves nobody any more. */
  ping(): void {
    if (engine.failure) throw engine.failure;
  },
  /** Settles when all that this thread has said before has been heard. */
  flush(): void {},
  snapshot: () => proxy.snapshot(),
  sessions: (query: SessionQuery) => proxy.sessions(query),
  session: (id: number) => proxy.session(id),
  endSession: (id: number) => proxy.endSession(id),
  moveSession: (id: number, url: string) => proxy.moveSession(id, url),
  moveOff: (instance: string, most: number, elsewhere?: readonly Public[]) => proxy.moveOff(instance, most, elsewhere),
  async reconfigure(next: Config, nextSlots: Slots): Promise<void> {
    openLog(next.log);
    slots = nextSlots;
    await proxy.reconfigure(next);
    config = next;
  },
  ownerClosed: (number: number) => member?.ownerClosed(number),
  /** This process is another one for others from now on: see `Identities`. */
  become: (identity: PeerIdentity, mayBegin: boolean) => identities.become(identity, mayBegin),
  carried: () => [...member?.counts ?? []],
  /** What is known of all other nodes. */
  know(views: NodeView[]): void {
    if (member) member.views = views;
  },
  /** Those for clients, and then that for other processes. */
  async passListeners(): Promise<PassedListener[]> {
    const passed = await proxy.passListeners();
    using made = new Descriptors(passed.flatMap(({ descriptors }) => descriptors));
    passed.push(...member?.passDoor(made) ?? []);
    made.take();
    return passed;
  },
  async setListening(state: ListeningState): Promise<void> {
    await Promise.all([proxy.setListening(state), member?.setListening(state)]);
  },
  movedIds: () => proxy.movedIds(),
  /** Of sessions that go to another process: see `MovingOut`. */
  moveNext: (which: { layout: IdLayout; isLate: boolean }) => movingOut.next(which),
  endMoving: (isGone: boolean) => movingOut.end(isGone),
  /** See `ReplaceableDataPlane`, and the `takeSessions` that it calls. */
  takeSessions(lane: number): void {
    const onLost = (reason: string) => log.error("session lost in the upgrade", { reason });
    void takeSessions(new Parcel(engine.adoptSocket!(lane)), { proxy, now: monotonicNow, onLost });
  },
  moveIn: (data: Moved, descriptors: readonly number[]) => proxy.moveIn(data, descriptors),
  redirectKcp: (conversation: KcpPlace & { conv: number }, thread: number) => proxy.redirectKcp(conversation, thread),
  releaseKcp: (place: KcpPlace) => proxy.releaseKcp(place),
  takeKcp: (cookie: number, came: Came[]) => proxy.takeKcp(cookie, came),
  hearKcp: (all: [cookie: number, came: readonly Came[]][]) => all.forEach((heard) => proxy.hearKcp(...heard)),
  drain: () => proxy.drain(),
  async stop(): Promise<void> {
    try {
      await Promise.all([proxy.stop(), member?.stop(config.shutdownTimeout)]);
      await engine.close();
    } finally {
      await flushLog();
    }
  },
};
export type WorkerMethods = typeof methods;

/** What a worker asks of its maker. */
export type MakerMethods = { [K in keyof Gate]: Gate[K] } & {
  /** The thread `by` is told that this one has closed its end of what that one carries as `number`; and another process the same. */
  tellThread(by: number, number: number): void;
  tellNode(via: Via): void;
  /** See `KcpThreads`, of the thread of that number. */
  redirectKcp(conversation: KcpPlace & { conv: number }, thread: number): Promise<boolean>;
  releaseKcp(place: KcpPlace): void;
  giveKcp(thread: number, cookie: number, came: Came[]): void;
  /** See `Destination`. */
  openLane(thread: number): Promise<number>;
  /** Answers what another process asks. */
  answerPeer(from: PeerIdentity, method: string, args: unknown): Promise<unknown>;
};

/** See `OnLane`. */
const monotonicNow = () => System.open().now();

const maker = connectPort<MakerMethods>(self as unknown as Port, methods);

function openMember(options: WorkerOptions, { log, stats }: Seams): Member {
  const { index: thread, peers, secret, door } = options;
  return new Member({
    ...{ engine, log, stats, thread, peers, peerListening, door, secret, identities },
    offers: new Offers(options.offers),
    config: () => config,
    tellThread: (by, number) => void maker.tellThread(by, number),
    tellNode: (via) => void maker.tellNode(via),
    answer: (from, method, args) => maker.answerPeer(from, method, args),
  });
}
