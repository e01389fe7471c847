import type { PeerIdentity } from "./hello_forms.ts";
import { areAlike } from "./map/facts.ts";
import type { Identity } from "./peers.ts";

/** Which slots and epochs a process has: the one for sessions that begin, and those that it had before, of which sessions may live. */
export class Identities {
  /** Who it is now. */
  own: PeerIdentity;
  /** Whether it may begin sessions. */
  mayBegin = true;
  readonly #owned: { slot: number; epoch: number }[] = [];

  constructor(own: PeerIdentity) {
    this.own = own;
    this.#add(own);
  }

  /** It is another one from now on, and goes on to own what it owned. */
  become(own: PeerIdentity, mayBegin = true): void {
    this.own = own;
    this.mayBegin = mayBegin;
    this.#add(own);
  }

  /** Whether it has the sessions of that slot and epoch, of which only the lowest bits may be known; missing: of any epoch of it. */
  owns(slot: number, epoch?: number): boolean {
    return this.#owned.some((each) => each.slot === slot && (epoch === undefined || areAlike(each.epoch, epoch)));
  }

  #add({ slot, epoch }: Identity): void {
    if (slot !== undefined && epoch !== undefined) this.#owned.push({ slot, epoch });
  }
}
