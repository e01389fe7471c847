import type { Endpoint } from "../../../link/link.ts";

/** Where the owner of a slot should be, as the discovery says. This node itself is among them. */
export interface Found {
  slot: number;
  /** An IP address or a name. */
  addr: Endpoint;
  /** Missing, with `instance`: the discovery tells places only. */
  epoch?: number;
  instance?: string;
}

/** A slot that a node has, and the epoch in which it has it: another one each time that the slot gets an owner. */
export interface Claim {
  slot: number;
  epoch: number;
}

/** Who wants a slot. */
export interface Claimant {
  instance: string;
  /** Where peers reach it. */
  addr: Endpoint;
  /** The largest epoch that peers remember, by slot. It is read again when another slot is taken. */
  remembered: ReadonlyMap<number, number>;
  /**
   * Another instance, `taker`, has the slot: this one stays the owner of what it began in `lost`, and begins no more there. Redis only.
   */
  onLost?(lost: Claim, taker: { instance: string; epoch: number }): void;
  /** After `onLost`: it has another slot, or another epoch of the same. */
  onClaimed?(claim: Claim): void;
}

/** How nodes find each other. */
export interface Discovery {
  /** Takes a slot for a node; an edge has none. Once. Rejects when there is none to be had, or it is closed, and then says why. */
  claim(claimant: Claimant): Promise<Claim>;
  /**
   * Goes on as the process that had these, of the same instance: nothing is claimed, unless it has none now. Instead of `claim`.
   * `lost`: what it had before, and has sessions of.
   */
  goOn(claimant: Claimant, own: Claim | undefined, lost: readonly Claim[]): void;
  /** Whether another process of the same instance has taken over: then no other slot is taken here, and `close` gives nothing back. */
  isPassedOn: boolean;
  /** Tells of all that is known, as soon as something is, and at each change. Once. `known`: what another process had found. */
  watch(onChange: (found: readonly Found[]) => void, known?: readonly Found[]): void;
  /** Gives the slot back, and ends all; never rejects. What is still wanted is rejected. May be called again. */
  close(): Promise<void>;
}
