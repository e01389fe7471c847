import type { Endpoint } from "../../../../link/link.ts";
import type { Identity } from "../peers.ts";
import { areAlike, type Known, type Life } from "../map/facts.ts";

/** A slot, in an epoch. */
export interface Pair {
  slot: number;
  epoch: number;
}

/** Which slots a process has: plain data. */
export interface OwnSnapshot {
  instance: string;
  /** The latest last; an edge has none. */
  lives: Known[];
  /** Another instance has taken the latest. */
  isLost: boolean;
}

/** What the threads of this process must know of it. Plain data. */
export interface Own {
  identity: Identity;
  /** What it had before, whose sessions it still has. */
  former: Pair[];
  /** Whether it begins sessions; when not, for a reason that is no drain: why, for whoever asks whether it is ready. */
  takesNew: boolean;
  fault?: string;
}

/** Which slots this process has, and had, and whether it may begin sessions. */
export class OwnLives {
  readonly #instance: string;
  readonly #addr: Endpoint;
  #lives: Known[] = [];
  #isLost = false;
  /** Set when it is to end. */
  draining = false;
  /** Another instance that has its slot and epoch, and took it earlier. */
  conflict: Life | undefined;
  /** Another instance that is met at its address. */
  impostor: string | undefined;

  constructor(instance: string, addr: Endpoint) {
    this.#instance = instance;
    this.#addr = addr;
  }

  /** The latest last. */
  get lives(): readonly Known[] {
    return this.#lives;
  }

  get snapshot(): OwnSnapshot {
    return { instance: this.#instance, lives: this.#lives, isLost: this.#isLost };
  }

  /** Has what another process of this instance had. */
  restore({ lives, isLost }: OwnSnapshot): void {
    this.#lives = lives.map((life) => ({ ...life, addr: this.#addr }));
    this.#isLost = isLost;
  }

  get state(): Own {
    const current = this.#lives.at(-1);
    const { slot, epoch } = current ?? {};
    const fault = this.#fault;
    return {
      identity: { instance: this.#instance, ...(slot !== undefined && epoch !== undefined && { slot, epoch }) },
      former: this.#lives.slice(0, -1).map(({ slot, epoch }) => ({ slot, epoch })),
      takesNew: current !== undefined && !this.draining && fault === undefined,
      ...(fault !== undefined && { fault }),
    };
  }

  /** Whether the slot is, or was, this one's; in an epoch, of which the lowest bits count, as ids have no more. */
  owns(slot: number, epoch?: number): boolean {
    return this.#lives.some((life) => life.slot === slot && (epoch === undefined || areAlike(life.epoch, epoch)));
  }

  claimed({ slot, epoch }: Pair, now: number): void {
    this.#isLost = false;
    // Another array: whoever has told of the one before sees that.
    this.#lives = [...this.#lives, { slot, epoch, instance: this.#instance, addr: this.#addr, at: now }];
  }

  /** Another instance has the slot: this one begins nothing there any more. */
  lost(): void {
    this.#isLost = true;
  }

  get #fault(): string | undefined {
    if (this.#isLost) return "another instance has taken the slot of this one, which has no other one yet";
    if (this.conflict) {
      const { slot, epoch, instance, addr: { hostname, port } } = this.conflict;
      return `slot ${slot} and epoch ${epoch} are those of another instance, ${instance} at ${hostname} port ${port}, too, which was first`;
    }
    if (this.impostor === undefined) return undefined;
    const { hostname, port } = this.#addr;
    return `another instance, ${this.impostor}, is at ${hostname} port ${port}, where others look for this one: see cluster.slot and cluster.advertise`;
  }
}
