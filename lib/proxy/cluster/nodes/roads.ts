import { matches } from "../../../config.ts";
import { type Endpoint, formatEndpoint, type Link, reasonOf } from "../../../link/link.ts";
import { ScpError } from "../../../scp/mod.ts";
import { OwnerGone } from "../../seams.ts";
import type { Owner } from "../../owner.ts";
import { type Hold, MUCH } from "../carry/carried.ts";
import type { Nodes } from "../carry/hand_over.ts";
import { type CarriedCounts, carriedKey } from "../../cluster_info.ts";
import { areAlike } from "./map/facts.ts";
import { whoOwns } from "./map/who_owns.ts";
import type { Identity, NodeView } from "./peers.ts";
import { PeerError } from "./peer_error.ts";
import { Spares } from "./spares.ts";

/** Milliseconds for another process to be reached, and for that and its answer: a client that waits is told within a second or so. */
const DIAL_TIMEOUT = 800;
const TIMEOUT = 1000;
/** Milliseconds for which one that could not be reached is not tried again: each client would wait that long. */
const REST = 1000;
/** Milliseconds between two looks at connections that nobody wants. */
const SWEEP = 10_000;
/** Milliseconds within which every process has heard of a new node, by whatever discovery. */
const HEARD_OF = 10_000;
/** How many nodes are asked to begin a session. */
const MOST_ASKED = 3;

export interface RoadsOptions {
  /**
   * Opens a connection that is to carry, to a node which must be the owner of that slot and epoch. The caller owns it. Rejects, within
   * `timeout` milliseconds, with a `PeerError`.
   */
  dial: (
    addr: Endpoint,
    to: { slot: number; epoch: number },
    options: { receiveBuffer: number | undefined; timeout: number },
  ) => Promise<Link>;
  /** Who this process is now. */
  own: () => Identity;
  /** Whether this process owns no sessions. */
  isEdge: boolean;
  /** Milliseconds, from any start. */
  now: () => number;
  /** A number of [0, 1). */
  random: () => number;
}

/** The ways from a thread to other processes: which one an owner is, and connections to it. */
export class Roads implements Nodes {
  readonly timeout = TIMEOUT;
  /** All others; missing: nobody has told of any yet, and whoever is asked for may be there. */
  views: readonly NodeView[] | undefined;
  /** By `carriedKey`. */
  readonly counts = new Map<string, CarriedCounts>();
  readonly #options: RoadsOptions;
  readonly #spares: Spares;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Slots of which nothing is known, and when they were looked for first. */
  readonly #askedFor = new Map<number, number>();
  /** Until when one is not tried, by its address, and why. */
  readonly #resting = new Map<string, { until: number; reason: string }>();

  constructor(options: RoadsOptions) {
    this.#options = options;
    this.#spares = new Spares(options.now);
    this.#timer = setInterval(() => this.#spares.sweep(), SWEEP);
  }

  /** See `Nodes`. */
  async reach(
    { slot, epoch }: Owner,
    hold: Hold,
    timeout: number,
    wanted?: "fresh",
  ): Promise<{ link: Link; isFresh: boolean }> {
    const node = this.#nodeOf(slot, epoch);
    const to = { slot, epoch };
    const key = `${nameOf(to)}${formatEndpoint(node.addr)} ${hold === MUCH}`;
    const spare = wanted ? undefined : this.#spares.take(key);
    const { receiveBuffer } = hold;
    const open = (timeout: number) => this.#options.dial(node.addr, to, { receiveBuffer, timeout });
    try {
      const link = spare ?? await this.#dial(node, Math.min(timeout, DIAL_TIMEOUT), open);
      void this.#spares.fill(key, () => open(DIAL_TIMEOUT));
      return { link, isFresh: spare === undefined };
    } catch (error) {
      if (!(error instanceof OwnerGone)) this.failed({ thread: 0, slot, epoch });
      throw error;
    }
  }

  /** See `Nodes`. */
  opened(owner: Owner): () => void {
    const counts = this.#countsOf(owner);
    counts.connections++;
    return () => void counts.connections--;
  }

  /** See `Nodes`. */
  failed(owner: Owner): void {
    this.#countsOf(owner).failures++;
    this.#spares.forget(nameOf(owner));
  }

  /** See `Cluster.place`. */
  place(target: string, isDraining: boolean): Owner[] | undefined {
    const { isEdge, random, own } = this.#options;
    if (!isEdge && !isDraining) return undefined;
    const self = own();
    // Another one that has our slot and epoch cannot be told from this one.
    const isSelf = ({ slot, epoch = NaN }: NodeView) => slot === self.slot && areAlike(epoch, self.epoch ?? NaN);
    const fit = (this.views ?? []).filter((view) =>
      view.takesNew && view.epoch !== undefined && !isSelf(view) && serves(view, target)
    );
    const up = fit.filter(({ state }) => state === "up");
    const chosen = (up.length > 0 ? up : fit)
      // The first of these is each with a probability by its weight, and so is the first of the rest.
      .map((node) => ({ node, key: -Math.log(1 - random()) / node.weight }))
      .toSorted((a, b) => a.key - b.key)
      .slice(0, MOST_ASKED)
      .map(({ node: { slot, epoch } }) => ({ thread: 0, slot, epoch: epoch! }));
    return chosen.length === 0 && !isEdge ? undefined : chosen;
  }

  /** Closes the connections that nobody wanted yet. */
  close(): void {
    clearInterval(this.#timer);
    this.#spares.close();
  }

  #countsOf({ slot, epoch }: Owner): CarriedCounts {
    const view = whoOwns(this.views ?? [], { slot, epoch });
    const key = carriedKey(slot, typeof view === "object" ? view.instance : undefined);
    const counts = this.counts.get(key) ?? { connections: 0, failures: 0 };
    this.counts.set(key, counts);
    return counts;
  }

  /** The node to ask for sessions of that slot and epoch. */
  #nodeOf(slot: number, epoch: number): NodeView {
    if (!this.views) throw new ScpError(501, "it is not known yet which nodes there are");
    const node = whoOwns(this.views, { slot, epoch }, this.#options.own());
    if (node === "gone") throw new OwnerGone(`epoch ${epoch} of node ${slot} is over`);
    if (node === "nowhere") throw this.#unknown(slot);
    return node;
  }

  /** A node that has just begun is heard of some seconds later: whoever looks for it meanwhile is to come again. */
  #unknown(slot: number): ScpError {
    const now = this.#options.now();
    const since = this.#askedFor.get(slot) ?? now;
    this.#askedFor.set(slot, since);
    const code = now - since < HEARD_OF ? 501 : 404;
    return new ScpError(code, `there is no node of slot ${slot}${code === 501 ? " yet" : ""}`);
  }

  async #dial(node: NodeView, timeout: number, open: (timeout: number) => Promise<Link>): Promise<Link> {
    const address = formatEndpoint(node.addr);
    const resting = this.#resting.get(address);
    if (resting && resting.until > this.#options.now()) throw unreachable(node, resting.reason);
    this.#resting.delete(address);
    try {
      return await open(timeout);
    } catch (error) {
      const kind = error instanceof PeerError ? error.kind : "unreachable";
      if (kind === "refused") throw new OwnerGone(`node ${node.slot} has ended: ${reasonOf(error)}`);
      if (kind === "gone" || kind === "elsewhere") throw new OwnerGone(reasonOf(error));
      // In less time another one might have reached it.
      if (timeout === DIAL_TIMEOUT) {
        this.#resting.set(address, { until: this.#options.now() + REST, reason: reasonOf(error) });
      }
      throw unreachable(node, reasonOf(error));
    }
  }
}

/** With what names of connections to that owner begin. */
function nameOf({ slot, epoch }: { slot: number; epoch: number }): string {
  return `${slot} ${epoch} `;
}

/** Whether a session for that target may begin there. */
function serves({ serves }: NodeView, target: string): boolean {
  return serves.length === 0 || serves.some((pattern) => matches(pattern, target));
}

function unreachable({ slot, addr, epoch, state }: NodeView, reason: string): ScpError {
  const what = `node ${slot} at ${formatEndpoint(addr)} cannot be reached: ${reason}`;
  // Where nobody was met, or for so long that sessions are over, there is none: only one that has come since might know better.
  return epoch === undefined && state === "refused" ? new OwnerGone(what) : new ScpError(501, what);
}
