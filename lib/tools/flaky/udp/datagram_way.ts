/** Chance: numbers of [0, 1). */
export interface Chance {
  next(): number;
}

/** Milliseconds for which a datagram waits at most for another to overtake it. */
export const LONGEST_HOLD = 50;
/** Milliseconds for which a datagram waits at most for those before it, where there is a rate: a router holds no more. */
export const LONGEST_QUEUE = 250;
/** The most bytes that are on their way. */
export const MOST_UNDER_WAY = 2 ** 20;
/** What a datagram counts for beyond its bytes, there: empty ones need memory, too. */
const OVERHEAD = 64;

/** What becomes of the datagrams of one direction. */
export interface WayOptions {
  /** What share of them, of [0, 1], is lost. */
  loss: number;
  /** What share comes twice, each with a jitter of its own. */
  duplicate: number;
  /** What share is overtaken by the next, unless none comes within `LONGEST_HOLD`. */
  reorder: number;
  /** Milliseconds by which each is delayed. */
  latency: number;
  /** The most milliseconds by which each is delayed beyond that, by chance: they overtake each other. */
  jitter: number;
  /** Bytes a second. What would wait longer than `LONGEST_QUEUE` is lost. */
  rate: number | undefined;
}

/** What became of them, so far. `overflowed`: lost since too many were under way. */
export interface WayCounts {
  came: number;
  lost: number;
  doubled: number;
  reordered: number;
  overflowed: number;
}

interface Waiting {
  datagram: Uint8Array;
  /** When it is to go. */
  due: number;
}

/**
 * One direction of a bad network, without sockets and timers: datagrams and the time in milliseconds in, datagrams out.
 * Five numbers of chance are drawn for each datagram, whatever the options: the same seed and as many datagrams before it
 * give each the same fate.
 */
export class DatagramWay {
  readonly counts: WayCounts = { came: 0, lost: 0, doubled: 0, reordered: 0, overflowed: 0 };
  readonly #options: WayOptions;
  readonly #chance: Chance;
  /** By the time when they are due; those of one time in the order in which they came. */
  readonly #waiting: Waiting[] = [];
  /** One that waits to be overtaken, and would have been due at `earliest`. */
  #overtaken: Waiting & { earliest: number } | undefined;
  #size = 0;
  /** When the last that came so far has gone at that rate. */
  #free = -Infinity;

  constructor(options: WayOptions, chance: Chance) {
    this.#options = options;
    this.#chance = chance;
  }

  /** A datagram came; it is copied. */
  put(datagram: Uint8Array, now: number): void {
    const { loss, duplicate, reorder, jitter } = this.#options;
    const [lost, doubled, held, delay, delayOfDouble] = [1, 2, 3, 4, 5].map(() => this.#chance.next());
    this.counts.came++;
    if (lost! < loss) {
      this.counts.lost++;
      return;
    }
    const arrival = this.#arrival(datagram.length, now);
    if (arrival === undefined) {
      this.counts.overflowed++;
      return;
    }
    const copy = datagram.slice();
    this.#pass(copy, arrival + delay! * jitter, held! < reorder);
    if (doubled! >= duplicate) return;
    this.counts.doubled++;
    this.#insert({ datagram: copy, due: arrival + delayOfDouble! * jitter });
    this.#size += weightOf(copy);
  }

  /** When the next is due; `Infinity`: none is under way. */
  get due(): number {
    return Math.min(this.#waiting[0]?.due ?? Infinity, this.#overtaken?.due ?? Infinity);
  }

  /** The next datagram that is due, which is the caller's to read; `undefined`: none is. */
  take(now: number): Uint8Array | undefined {
    if (this.#overtaken && this.#overtaken.due <= now) this.#release(this.#overtaken.due);
    const next = this.#waiting[0];
    if (!next || next.due > now) return undefined;
    this.#waiting.shift();
    this.#size -= weightOf(next.datagram);
    return next.datagram;
  }

  /** When one that comes now has gone at the rate, and the latency is over; `undefined`: there is no room for it. */
  #arrival(length: number, now: number): number | undefined {
    const { rate, latency } = this.#options;
    if (this.#size > MOST_UNDER_WAY) return undefined;
    if (rate === undefined) return now + latency;
    const start = Math.max(now, this.#free);
    if (start - now > LONGEST_QUEUE) return undefined;
    this.#free = start + length / rate * 1000;
    return this.#free + latency;
  }

  /** Sends it on its way; or keeps it until the next has passed it, if none is kept yet. */
  #pass(datagram: Uint8Array, due: number, isHeld: boolean): void {
    this.#size += weightOf(datagram);
    if (isHeld && !this.#overtaken) {
      this.counts.reordered++;
      this.#overtaken = { datagram, due: due + LONGEST_HOLD, earliest: due };
      return;
    }
    this.#insert({ datagram, due });
    if (this.#overtaken) this.#release(Math.max(due, this.#overtaken.earliest));
  }

  #release(due: number): void {
    this.#insert({ datagram: this.#overtaken!.datagram, due });
    this.#overtaken = undefined;
  }

  #insert(one: Waiting): void {
    const after = this.#waiting.findLastIndex(({ due }) => due <= one.due);
    this.#waiting.splice(after + 1, 0, one);
  }
}

function weightOf(datagram: Uint8Array): number {
  return datagram.length + OVERHEAD;
}
