import type { Config } from "../../../config.ts";
import { type Engine, KEEP_ALIVE, type Listening } from "../../../link/engine/engine.ts";
import { Listenings } from "../../../link/engine/listenings.ts";
import type { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import type { Endpoint, Via } from "../../../link/link.ts";
import type { Log } from "../../../log.ts";
import { isAccepting, type ListeningState, type PassedListener } from "../../data_plane.ts";
import { layoutFor, type Owner } from "../../owner.ts";
import type { CarriedCounts } from "../../cluster_info.ts";
import type { Cluster } from "../../seams.ts";
import type { Stats } from "../../stats.ts";
import { HandOver } from "../carry/hand_over.ts";
import type { Offers } from "../carry/offers.ts";
import { type TakeOver, Takings } from "../carry/takings.ts";
import { Door, type DoorOptions } from "../nodes/door.ts";
import { Identities } from "../nodes/identities.ts";
import { dialPeer } from "../nodes/peer_door.ts";
import type { NodeView } from "../nodes/peers.ts";
import { Roads } from "../nodes/roads.ts";

/** The part of its resend cache that may be on its way from another process to the client of a session of version 1. */
const BOUND = 1 / 4;
/** With what is between the two processes: the owner's system may have all acknowledged by then, and two pieces more are sent. */
const BOUND_OF_ALL = 1 / 2;
/** Milliseconds between two looks at whether clients that are carried are there. */
const LOOK = 1000;
/** Connections of peers that may wait to be accepted. */
const BACKLOG = 4096;

export interface MemberOptions {
  engine: Engine;
  log: Log;
  stats: Stats;
  thread: number;
  /** Where each thread takes connections for sessions that are its own, and this one's; none: it is the only one. */
  peers: readonly Endpoint[];
  peerListening: Listening | undefined;
  /** By which it goes on listening for other processes: see `ListeningsOptions`. Nobody is let in before `setListening` then. */
  door?: readonly number[] | undefined;
  /** What a thread has to say first. */
  secret: string;
  /** Those of all threads. */
  offers: Offers;
  /** The configuration in effect, in which `cluster` stays or stays away. */
  config: () => Config;
  /** Who this process is for others. */
  identities: Identities;
  /** See `TakingsOptions`. */
  tellThread: (by: number, number: number) => void;
  tellNode: (via: Via) => void;
  /** See `DoorOptions`. */
  answer: DoorOptions["answer"];
}

/** A thread as one of those that serve the same clients: what it gives to others, and takes from them. */
export class Member implements Cluster {
  readonly layout: Cluster["layout"];
  readonly #options: MemberOptions;
  readonly #handOver: HandOver;
  /** To other processes, and where they come in. */
  readonly #roads: Roads | undefined;
  #door: Door | undefined;
  #takings: Takings | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: MemberOptions) {
    const { engine, thread, peers, secret, offers, identities, config } = options;
    const { cluster } = config();
    this.#options = options;
    this.layout = layoutFor(cluster, Math.max(1, peers.length));
    this.#roads = cluster && new Roads({
      dial: async (addr, to, { receiveBuffer, timeout }) =>
        (await dialPeer({
          ...{ addr, to, engine, receiveBuffer, timeout },
          kind: "carry",
          options: config().cluster!,
          identity: () => identities.own,
        })).link,
      own: () => identities.own,
      isEdge: cluster.role === "edge",
      now: () => performance.now(),
      random: Math.random,
    });
    this.#handOver = new HandOver({
      ...{ engine, thread, peers, secret, offers, random: Math.random },
      isHere: ({ slot, epoch }) => identities.owns(slot, epoch),
      ...(this.#roads && { nodes: this.#roads }),
    });
  }

  /** See `Cluster`. */
  get self(): Owner {
    const { slot = 0, epoch = 0 } = this.#options.identities.own;
    return { thread: this.#options.thread, slot, epoch };
  }

  /** See `Cluster`. */
  owns({ thread, slot, epoch }: Owner): boolean {
    return thread === this.#options.thread && this.#options.identities.owns(slot, epoch);
  }

  /** See `Cluster`. */
  readonly carry: Cluster["carry"] = (...args) => this.#handOver.carry(...args);
  readonly place: NonNullable<Cluster["place"]> = (target, isDraining) => this.#roads?.place(target, isDraining);

  /** See `Cluster`. */
  get mayBegin(): boolean {
    return this.#options.identities.mayBegin;
  }

  /** See `Cluster`; and what came of those that were to be carried: see `Roads.counts`. */
  get carrying(): number {
    return this.#handOver.carrying;
  }

  get counts(): ReadonlyMap<string, CarriedCounts> {
    return this.#roads?.counts ?? new Map();
  }

  /** What is known of all other nodes. */
  set views(views: readonly NodeView[]) {
    if (this.#roads) this.#roads.views = views;
  }

  /** Takes what others hand over. Throws when the address for peers cannot be had. */
  accept(takeOver: TakeOver): void {
    const { secret, offers, log, tellThread, tellNode, config, stats, peerListening } = this.#options;
    const takings = new Takings(takeOver, {
      ...{ secret, offers, log, tellThread, tellNode },
      bound: (between) => {
        const { reuseBuffer } = config().scp;
        return Math.max(0, Math.floor(Math.min(reuseBuffer * BOUND, reuseBuffer * BOUND_OF_ALL - between)));
      },
      onClose: () => stats.closes++,
    });
    if (peerListening) takings.accept(peerListening);
    this.#takings = takings;
    if (!this.#roads) return;
    this.#door = this.#open(takings);
    if (!this.#options.door) this.#door.accept();
    this.#timer = setInterval(() => this.#handOver.look(config().tcpOption.ackTimeout), LOOK);
  }

  /** See `HandOver.ownerClosed`. */
  ownerClosed(number: number): void {
    this.#handOver.ownerClosed(number);
  }

  /** Where other processes come in, by descriptors that belong to `owner` as they are made; nothing: it is alone. */
  passDoor(owner: Descriptors): PassedListener[] {
    const { hostname, port } = this.#options.config().cluster?.listen ?? {};
    if (!this.#door || hostname === undefined || port === undefined) return [];
    return [{ hostname, port, hadPort: port, descriptors: this.#door.duplicate(owner), isForPeers: true }];
  }

  /** Where other processes come in: see `ListeningState`. Those who do not listen any more carry nothing away. */
  async setListening(state: ListeningState): Promise<void> {
    if (isAccepting(state)) return this.#door?.accept();
    this.#door?.pause();
    this.#takings?.closeIdle();
    if (state !== "off") return;
    this.#handOver.cutAway();
    await this.#door?.close();
  }

  /** Takes nothing more, and settles when nothing is handed over any more: after `timeout` milliseconds it is cut. */
  async stop(timeout: number): Promise<void> {
    clearInterval(this.#timer);
    this.#roads?.close();
    this.#takings?.close();
    await Promise.all([this.#options.peerListening?.close(), this.#door?.close(), this.#handOver.stop(timeout)]);
  }

  #open(takings: Takings): Door {
    const { engine, log, stats, config, identities, answer, door: descriptors } = this.#options;
    const { hostname, port } = config().cluster!.listen;
    // A peer whose machine is gone says nothing: what it carried would be held for ever.
    const tcp = { keepAlive: KEEP_ALIVE };
    const listenings = new Listenings(engine, { hostname, port }, { backlog: BACKLOG, tcp, descriptors });
    return new Door(listenings, {
      ...{ log, answer },
      options: () => config().cluster!,
      identity: () => identities.own,
      owns: (slot, epoch) => identities.owns(slot, epoch),
      onCarry: (link, socket, instance, rest) => void takings.take(link, socket, instance, rest),
      onRefused: () => stats.peersRefused++,
    });
  }
}
