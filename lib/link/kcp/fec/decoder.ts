import {
  endOfSeqids,
  FEC_HEADER,
  type FecKind,
  kindOf,
  LONGEST_DATAGRAM,
  segmentsOf,
  seqidOf,
  SIZE_LENGTH,
} from "./fec_frame.ts";
import type { ReedSolomon } from "./reed_solomon.ts";

/** Milliseconds after which what came of a group is forgotten. */
export const GROUP_LIFE = 60_000;
/** The most groups that are remembered; those of which all is known hold nothing. */
const MOST_GROUPS = 16;
/** The datagrams of so many groups are held at most. */
const HELD_GROUPS = 3;

/** What came of one group, until all its data are known. */
interface Group {
  /** When the first of it came. */
  since: number;
  /** What the code covers of each, data, then parity; `undefined`: nothing is missing any more. */
  shards: (Uint8Array | undefined)[] | undefined;
  held: number;
}

/** What a datagram was. "malformed": too short, too long, or its SIZE cannot be; nothing was made of it. */
export type FecVerdict = FecKind | "malformed";

/** Hears the segments of a datagram: a view that holds during the call. `isRegular`: false for one that was rebuilt. */
export type Deliver = (segments: Uint8Array, isRegular: boolean) => void;

/**
 * The receiving end of one session's FEC. Data are given on at once, late ones and doubles as well, as the session itself
 * can tell; where a group lacks data and has parity enough, they are rebuilt. A peer may leave out all parity of a
 * group, and may send datagrams without FEC between others. Memory is bounded: the datagrams of three groups, copied.
 */
export class FecDecoder {
  readonly #code: ReedSolomon;
  readonly #size: number;
  readonly #end: number;
  /** By the number of their first datagram, in the order in which they were first heard of. */
  readonly #groups = new Map<number, Group>();
  #held = 0;
  #isMismatched = false;
  #rebuilt = 0;
  #failed = 0;

  constructor(code: ReedSolomon) {
    this.#code = code;
    this.#size = code.data + code.parity;
    this.#end = endOfSeqids(this.#size);
  }

  /** How many data datagrams were rebuilt. */
  get rebuilt(): number {
    return this.#rebuilt;
  }

  /** How many were rebuilt to what cannot be, as what came was not of one group. */
  get failed(): number {
    return this.#failed;
  }

  /** Whether the peer's groups are not of this size: nothing is rebuilt any more, as it would be wrong. */
  get isMismatched(): boolean {
    return this.#isMismatched;
  }

  /** How many datagrams are held. */
  get held(): number {
    return this.#held;
  }

  /** A datagram came, at this time in milliseconds: gives `deliver` what it bears, then what can be rebuilt with it. */
  input(datagram: Uint8Array, now: number, deliver: Deliver): FecVerdict {
    const kind = kindOf(datagram);
    if (kind === "plain") deliver(datagram, true);
    if (kind === "plain" || kind === "out of band") return kind;
    const covered = datagram.subarray(FEC_HEADER);
    const segments = kind === "data" ? segmentsOf(covered) : undefined;
    const isWhole = segments !== undefined || kind === "parity" && covered.length >= SIZE_LENGTH;
    if (!isWhole || datagram.length > LONGEST_DATAGRAM) return "malformed";
    const missing = this.#keep(seqidOf(datagram), kind, covered, now);
    if (segments) deliver(segments, true);
    for (const shard of missing) this.#give(shard, deliver);
    return kind;
  }

  /** Forgets what came more than `GROUP_LIFE` ago, as `input` does as well: for sessions to which nothing comes. */
  expire(now: number): void {
    for (const [base, { since }] of this.#groups) {
      if (now - since <= GROUP_LIFE) return;
      this.#forget(base);
    }
  }

  /** Takes a datagram to its group: the data that can be rebuilt now. */
  #keep(seqid: number, kind: "data" | "parity", covered: Uint8Array, now: number): Iterable<Uint8Array> {
    const index = seqid % this.#size;
    if ((index < this.#code.data) !== (kind === "data") || seqid >= this.#end) this.#mismatch();
    if (this.#isMismatched) return [];
    this.expire(now);
    const group = this.#group(seqid - index, now);
    if (!group.shards || group.shards[index]) return [];
    group.shards[index] = covered.slice();
    group.held++;
    this.#held++;
    if (group.held === this.#code.data) return this.#complete(group, group.shards);
    while (this.#held > HELD_GROUPS * this.#size) this.#forgetOldest();
    return [];
  }

  #group(base: number, now: number): Group {
    const known = this.#groups.get(base);
    if (known) return known;
    const group: Group = { since: now, shards: new Array(this.#size), held: 0 };
    this.#groups.set(base, group);
    if (this.#groups.size > MOST_GROUPS) this.#forgetOldest();
    return group;
  }

  /** With as many datagrams as a group has data, nothing more is needed of it. */
  #complete(group: Group, shards: (Uint8Array | undefined)[]): Iterable<Uint8Array> {
    this.#held -= group.held;
    group.held = 0;
    group.shards = undefined;
    return this.#code.rebuild(shards)!.values();
  }

  #give(covered: Uint8Array, deliver: Deliver): void {
    const segments = segmentsOf(covered);
    if (!segments) {
      this.#failed++;
      return;
    }
    this.#rebuilt++;
    deliver(segments, false);
  }

  #forgetOldest(): void {
    for (const base of this.#groups.keys()) return this.#forget(base);
  }

  #forget(base: number): void {
    this.#held -= this.#groups.get(base)!.held;
    this.#groups.delete(base);
  }

  #mismatch(): void {
    this.#isMismatched = true;
    this.#groups.clear();
    this.#held = 0;
  }
}
