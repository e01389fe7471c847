import type { DatagramPeer } from "../engine/udp/datagrams.ts";
import { AskedBefore } from "./asked_before.ts";
import type { KcpFlow } from "./kcp_flow.ts";
import { Pace } from "./pace.ts";

/**
 * Conversations at most whose client's address is not proven: of more the oldest go first, so many a second. Who is there shows it within
 * a round trip: as many as that are forged, and each that takes the place of another leaves its memory behind.
 */
const MOST_UNPROVEN = 1024;
const MOST_REPLACED = 64;
/**
 * Conversations that may begin in a second, and at once: each costs an answer, and whoever forges addresses can ask for any number. All
 * others wait meanwhile.
 */
const MOST_BEGUN = 2048;
const MOST_AT_ONCE = 256;
/**
 * Of these, those that may begin in a second, and at once, with the first datagram that asks for them, but for those that are proven
 * since. All others have to ask again, as who is there does at once; of a flood of forged addresses hardly one does.
 */
const MOST_UNASKED = 16;
const MOST_UNASKED_AT_ONCE = 128;
/** Why one of more is lost: made once, as it costs more than much of the rest. */
const TOO_MANY = new Error("too many others have begun whose addresses are not proven");

/** Conversations whose client's address is not proven, over all sockets of a thread: whether one more may begin, and which is lost for it. */
export class Newcomers {
  /** The oldest first. */
  readonly #flows = new Set<KcpFlow>();
  readonly #beginning: Pace;
  readonly #replacing: Pace;
  readonly #unasked: Pace;
  readonly #askedBefore = new AskedBefore();
  readonly #most: number;

  /** `threads`: how many there are such as this one, each with its part; `now`: milliseconds of a clock that never goes back. */
  constructor(threads = 1, now?: () => number) {
    this.#most = Math.ceil(MOST_UNPROVEN / threads);
    this.#beginning = new Pace(MOST_BEGUN, MOST_AT_ONCE, now);
    this.#replacing = new Pace(MOST_REPLACED, MOST_REPLACED, now);
    this.#unasked = new Pace(MOST_UNASKED, MOST_UNASKED_AT_ONCE, now);
  }

  /** How many there are. */
  get size(): number {
    return this.#flows.size;
  }

  /** Whether the conversation of that number, for which a datagram of the peer asks, may begin; else it may when it is asked for again. */
  mayBegin({ key }: DatagramPeer, conv: number): boolean {
    if (!this.#unasked.isFree && !this.#askedBefore.note(key, conv)) return false;
    return this.#beginning.isFree && (this.#flows.size < this.#most || this.#replacing.isFree);
  }

  /** There is one. */
  add(flow: KcpFlow): void {
    this.#flows.add(flow);
  }

  /** One that might has begun, and was added. */
  began(): void {
    this.#beginning.count();
    if (this.#unasked.isFree) this.#unasked.count();
    if (this.#flows.size <= this.#most) return;
    this.#replacing.count();
    const [oldest] = this.#flows;
    this.#flows.delete(oldest!);
    // Its owner is told, and closes it.
    oldest!.lose(TOO_MANY);
  }

  /** The address is proven of one that may be none of these: gives whether it was. */
  proved(flow: KcpFlow): boolean {
    const isOne = this.#flows.delete(flow);
    if (isOne) this.#unasked.giveBack();
    return isOne;
  }

  /** One is over, or has left, that may be none of these. */
  forget(flow: KcpFlow): void {
    this.#flows.delete(flow);
  }
}
