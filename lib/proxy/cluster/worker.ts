/** A worker: a thread with a data plane of its own. See `worker_pool.ts`, which starts it. */
import type { Config } from "../../config.ts";
import type { EngineName } from "../../config/engines.ts";
import type { Engine, Listening } from "../../link/engine/engine.ts";
import { openEngine } from "../../link/engine/open_engine.ts";
import type { Endpoint } from "../../link/link.ts";
import { flushLog, logInternalErrors, openLog } from "../../log.ts";
import type { SessionQuery } from "../data_plane.ts";
import type { Slots } from "../host_slots.ts";
import { type Proxy, startProxy } from "../proxy.ts";
import type { Gate, Seams } from "../seams.ts";
import { SharedState } from "../shared_state.ts";
import { systemSeams } from "../system_seams.ts";
import { HandOver } from "./hand_over.ts";
import { Offers } from "./offers.ts";
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
}

let proxy: Proxy;
let config: Config;
let slots: Slots;
let engine: Engine;
let peerListening: Listening | undefined;
let handOver: HandOver | undefined;

/** What the maker of a worker may ask of it; first of all, to `open`, and then to `start`. */
const methods = {
  /** Has sockets by an engine that works in this process. One thread with another engine could not take what others give it. */
  open(io: EngineName): void {
    const opened = openEngine(io);
    if (opened.why !== undefined) throw new Error(`Cannot have sockets by ${io}: ${opened.why}`);
    engine = opened.engine;
  },
  /** Where it takes what other threads hand over; one that is alone is not asked. */
  listenForPeers(): Endpoint {
    const options = { backlog: PEER_BACKLOG, isShared: false, tcp: {} };
    peerListening = engine.listen({ hostname: "127.0.0.1", port: 0 }, options);
    return peerListening.address;
  },
  start(options: WorkerOptions): void {
    const { index, peers, shared } = options;
    ({ config, slots } = options);
    const log = openLog(config.log);
    logInternalErrors(log);
    const seams = systemSeams(log, engine);
    handOver = peerListening && openHandOver(peerListening, options, seams);
    proxy = startProxy(config, {
      ...seams,
      shared: new SharedState(shared),
      assignSlots: () => ({ slots, settled: () => {} }),
      ...(handOver && { cluster: { index, size: peers.length, carry: handOver.carry } }),
      gate: maker,
      portOf: ({ port }) => port,
    });
    handOver?.accept((link, read) => proxy.takeOver(link, read));
  },
  ping(): void {},
  snapshot: () => proxy.snapshot(),
  sessions: (query: SessionQuery) => proxy.sessions(query),
  session: (id: number) => proxy.session(id),
  endSession: (id: number) => proxy.endSession(id),
  async reconfigure(next: Config, nextSlots: Slots): Promise<void> {
    openLog(next.log);
    slots = nextSlots;
    await proxy.reconfigure(next);
    config = next;
  },
  ownerClosed: (number: number) => handOver?.ownerClosed(number),
  drain: () => proxy.drain(),
  async stop(): Promise<void> {
    await Promise.all([proxy.stop(), handOver?.stop(config.shutdownTimeout)]);
    await engine.close();
    await flushLog();
  },
};
export type WorkerMethods = typeof methods;

/** What a worker asks of its maker. */
export type MakerMethods = { [K in keyof Gate]: Gate[K] } & {
  /** The peer `by` is told that this one has closed its end of what that one carries as `number`. */
  tellClosed(by: number, number: number): void;
};

const maker = connectPort<MakerMethods>(self as unknown as Port, methods);

function openHandOver(listening: Listening, options: WorkerOptions, { log, stats }: Seams): HandOver {
  const { index, peers, secret } = options;
  return new HandOver(listening, {
    engine,
    index,
    peers,
    secret,
    offers: new Offers(options.offers),
    log,
    tellClosed: (by, number) => void maker.tellClosed(by, number),
    onClose: () => stats.closes++,
  });
}
