import { Ring } from "../../../scp/v2/ring.ts";
import type { Counters } from "./counters.ts";
import type { KcpOptions } from "./options.ts";
import type { Packer } from "./packer.ts";
import { ACK, LONGEST_DATA } from "./segment.ts";

/** ACKs for which there is memory still when they have been sent. */
const KEPT_ACKS = 16;

/** As plain data. */
export interface ReceiverSnapshot {
  next: number;
  /** Bytes that wait to be received. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The data of segments that came before an earlier one. */
  early: [sn: number, bytes: Uint8Array][];
  /** In pairs: sn and ts. */
  acks: number[];
}

/** What comes from the peer: bytes in order until they are received, segments that came too early, and the ACKs of what came. */
export class Receiver {
  readonly #options: KcpOptions;
  readonly #counters: Counters;
  readonly #ring = new Ring();
  /** The data of segments that came before an earlier one, by sn. */
  #early: Map<number, Uint8Array> | undefined;
  /** Of the segments to be acknowledged, in pairs: sn and ts. What is behind the count is of old. */
  #acks: number[] = [];
  #ackCount = 0;
  /** The sn of the segment that is to come next: all before it came. */
  next: number;

  constructor(options: KcpOptions, counters: Counters, first: number) {
    this.#options = options;
    this.#counters = counters;
    this.next = first | 0;
  }

  get snapshot(): ReceiverSnapshot {
    const acks = this.#acks.slice(0, 2 * this.#ackCount);
    return { next: this.next, bytes: this.#ring.copy(), early: [...this.#early ?? []], acks };
  }

  /** Is from now on as that one was. */
  goOnFrom({ next, bytes, early, acks }: ReceiverSnapshot): void {
    this.next = next | 0;
    this.#ring.push(bytes);
    this.#early = early.length > 0 ? new Map(early.map(([sn, bytes]) => [sn, bytes.slice()])) : undefined;
    this.#acks = acks.slice();
    this.#ackCount = acks.length >> 1;
  }

  /** Segments that there is room for, from `next` on. It never takes back what it told: one that comes takes the room of one at most. */
  get window(): number {
    const { receiveWindow, receiveBytes } = this.#options;
    const room = Math.max(0, receiveBytes - this.#ring.length); // one that goes on may begin with more
    return Math.min(receiveWindow, Math.floor(room / LONGEST_DATA));
  }

  /** Bytes that wait to be received. */
  get readable(): number {
    return this.#ring.length;
  }

  get hasAcks(): boolean {
    return this.#ackCount > 0;
  }

  /** A segment came, whose data are `length` bytes at `at`, of which it copies what it takes. */
  onPush(sn: number, ts: number, datagram: Uint8Array, at: number, length: number): void {
    const ahead = (sn - this.next) | 0;
    if (ahead >= this.window) {
      this.#counters.outside++;
      return;
    }
    this.#acknowledge(sn, ts);
    if (ahead < 0 || this.#early?.has(sn)) this.#counters.repeated++;
    else if (ahead > 0) (this.#early ??= new Map()).set(sn, datagram.slice(at, at + length));
    else this.#append(datagram.subarray(at, at + length));
  }

  /** Bytes in order, `most` at the most, that it forgets: a view that holds until the next one comes. None: `undefined`. */
  receive(most: number): Uint8Array | undefined {
    if (this.#ring.length === 0 || most === 0) return undefined;
    const bytes = this.#ring.from(0);
    const taken = bytes.length > most ? bytes.subarray(0, most) : bytes;
    this.#ring.drop(taken.length);
    return taken;
  }

  /** Packs the ACKs: of those that `una` tells of as well, only the last. */
  flush(packer: Packer): void {
    const acks = this.#acks;
    for (let i = 0; i < this.#ackCount; i++) {
      const sn = acks[2 * i]!;
      if (((sn - this.next) | 0) >= 0 || i === this.#ackCount - 1) packer.add(ACK, acks[2 * i + 1]!, sn, 0);
    }
    this.#ackCount = 0;
    if (acks.length > 2 * KEPT_ACKS) this.#acks = [];
  }

  /** Gives back the memory that what there is does not need. */
  trim(): void {
    this.#ring.trim();
    if (this.#ackCount === 0) this.#acks = [];
  }

  /** Of more than the window has, the last takes the place of the one before, which will come again. */
  #acknowledge(sn: number, ts: number): void {
    if (this.#ackCount < this.#options.receiveWindow) this.#ackCount++;
    const at = 2 * (this.#ackCount - 1);
    this.#acks[at] = sn;
    this.#acks[at + 1] = ts;
  }

  /** The next segment is there, and so are those that waited for it. */
  #append(bytes: Uint8Array): void {
    this.#ring.push(bytes);
    this.next = (this.next + 1) | 0;
    for (let waiting; (waiting = this.#early?.get(this.next));) {
      this.#early!.delete(this.next);
      this.#ring.push(waiting);
      this.next = (this.next + 1) | 0;
    }
    if (this.#early?.size === 0) this.#early = undefined;
  }
}
