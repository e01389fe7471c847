/** Offers that one may have open at once. */
export const MOST_OFFERS = 256;

/**
 * Offers of threads to one another, each of which is taken once, by one: by that to which it was made, or back by that which made
 * it. Whatever happens to a message that tells of an offer, and whenever it comes: who takes the offer has what was offered.
 */
export class Offers {
  /** To be given to other threads, each of which makes its own `Offers` of it. */
  readonly buffer: SharedArrayBuffer;
  /** By thread, and then by number: that of the offer which is open there; 0: none. */
  readonly #cells: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
  }

  /** Of so many threads. */
  static of(threads: number): Offers {
    return new Offers(new SharedArrayBuffer(threads * MOST_OFFERS * Int32Array.BYTES_PER_ELEMENT));
  }

  /** Makes an offer of the caller, the thread `by`. `number`: of 1 to 2^31-1, not used of late. False: there is no room. */
  make(by: number, number: number): boolean {
    return Atomics.compareExchange(this.#cells, placeOf(by, number), 0, number) === 0;
  }

  /** Takes an offer that was made. False: it was taken before. */
  take(by: number, number: number): boolean {
    return Atomics.compareExchange(this.#cells, placeOf(by, number), number, 0) === number;
  }
}

function placeOf(by: number, number: number): number {
  return by * MOST_OFFERS + number % MOST_OFFERS;
}
