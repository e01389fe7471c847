import { within } from "../../../../within.ts";
import type { Claimant } from "../../discovery/discovery.ts";
import type { ClusterNodeOptions } from "../cluster_node_options.ts";
import type { Neighbours } from "../watching/neighbours.ts";
import { type Own, OwnLives, type OwnSnapshot, type Pair } from "./own_lives.ts";
import { askRemembered } from "./remembered.ts";

/** Milliseconds to learn which epochs others remember, altogether. */
const REMEMBERING = 1000;
/** Milliseconds from one complaint to the next. */
const COMPLAINT = 60_000;

export interface OwnSlotOptions
  extends Pick<ClusterNodeOptions, "instance" | "addr" | "cluster" | "discovery" | "connect" | "log" | "now"> {
  neighbours: Neighbours;
  /** Called when something else is so. */
  onOwn: (own: Own) => void;
}

/** The slot that this process has: how it gets one, and keeps or loses it. */
export class OwnSlot {
  readonly #options: OwnSlotOptions;
  readonly #lives: OwnLives;
  #told = "";
  #complained = -Infinity;

  constructor(options: OwnSlotOptions) {
    this.#options = options;
    this.#lives = new OwnLives(options.instance, options.addr);
  }

  get state(): Own {
    return this.#lives.state;
  }

  get isDraining(): boolean {
    return this.#lives.draining;
  }

  owns(slot: number, epoch?: number): boolean {
    return this.#lives.owns(slot, epoch);
  }

  get snapshot(): OwnSnapshot {
    return this.#lives.snapshot;
  }

  /** Takes a slot. Rejects when there is none to be had. */
  async claim(): Promise<void> {
    const { cluster, discovery } = this.#options;
    // A Redis remembers by itself.
    if (cluster.discovery !== "redis") await this.#askRemembered();
    this.#onClaimed(await discovery.claim(this.#claimant));
  }

  /** Has the slots that another process of this instance had, instead of `claim`. */
  goOn(own: OwnSnapshot): void {
    const { lives, isLost } = own;
    const { discovery, neighbours } = this.#options;
    this.#lives.restore(own);
    neighbours.own = this.#lives.lives;
    discovery.goOn(this.#claimant, isLost ? undefined : lives.at(-1), isLost ? lives : lives.slice(0, -1));
  }

  get #claimant(): Claimant {
    const { instance, addr, neighbours } = this.#options;
    return {
      ...{ instance, addr, remembered: neighbours.map.epochs },
      onLost: (lost, taker) => this.#onLost(lost, taker),
      onClaimed: (claim) => this.#onClaimed(claim),
    };
  }

  /** Begins no new session any more. */
  drain(): void {
    this.#lives.draining = true;
    this.update();
  }

  /** Looks whether another one has the same. To be called when something is known of others, and every second or so. */
  update(): void {
    const { map } = this.#options.neighbours;
    this.#lives.conflict = map.conflict;
    this.#lives.impostor = map.impostor;
    const { state } = this;
    const text = JSON.stringify(state);
    if (text !== this.#told) {
      this.#told = text;
      this.#options.onOwn(state);
    }
    this.#complain(state.fault);
  }

  async #askRemembered(): Promise<void> {
    const { neighbours, connect } = this.#options;
    const start = performance.now();
    await within(REMEMBERING, neighbours.firstFound);
    const limit = REMEMBERING - (performance.now() - start);
    const remember = (slot: number, epoch: number) => neighbours.map.remember(slot, epoch);
    if (limit > 0) await askRemembered(neighbours.addrs, { connect, remember, limit });
  }

  #onClaimed(claim: Pair): void {
    this.#options.log.info("slot taken", { ...claim });
    this.#lives.claimed(claim, this.#options.now());
    this.#options.neighbours.own = this.#lives.lives;
    this.update();
  }

  #onLost(lost: Pair, taker: { instance: string; epoch: number }): void {
    this.#options.log.error("slot lost", { ...lost, taker: taker.instance, takerEpoch: taker.epoch });
    this.#lives.lost();
    this.update();
  }

  #complain(fault: string | undefined): void {
    const now = performance.now();
    if (fault === undefined || now - this.#complained < COMPLAINT) return;
    this.#complained = now;
    this.#options.log.error("this node begins no sessions", { reason: fault });
  }
}
