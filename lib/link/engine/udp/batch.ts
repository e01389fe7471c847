import { ADDRESS, ANCILLARY, CONTROL, HEADER, IOVEC, NAME, VECTOR, VECTORS } from "./datagram_calls.ts";

/** Datagrams that one call takes, or brings, at the most. */
export const BATCH = 64;
/** Words from one to the next. */
const NAME_STRIDE = ADDRESS + 1;
const CONTROL_STRIDE = ANCILLARY;
const TWO_TO_32 = 2 ** 32;

/**
 * The memory of a batch: for each datagram a header, which points to an address, to what comes along with it, and to a vector of one
 * part; and the bytes, where the vectors are to point to. It does not move, as the headers have its addresses.
 */
export class BatchMemory {
  readonly words: Int32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Uint8Array<ArrayBuffer>;
  readonly #vectorsAt = BATCH * HEADER;
  readonly #namesAt = this.#vectorsAt + BATCH * IOVEC;
  readonly #controlsAt = this.#namesAt + BATCH * NAME_STRIDE;
  readonly #address: number;
  readonly #bytesAddress: number;

  /** `capacity`: how many bytes. */
  constructor(capacity: number) {
    const bytesAt = 4 * (this.#controlsAt + BATCH * CONTROL_STRIDE);
    const buffer = new ArrayBuffer(bytesAt + capacity);
    this.words = new Int32Array(buffer, 0, bytesAt / 4);
    this.bytes = new Uint8Array(buffer, bytesAt);
    this.headers = new Uint8Array(buffer, 0, 4 * BATCH * HEADER);
    this.#address = Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.headers)));
    this.#bytesAddress = this.#address + bytesAt;
    for (let i = 0; i < BATCH; i++) {
      this.#point(i * HEADER + NAME, this.#address + 4 * this.name(i));
      this.#point(i * HEADER + CONTROL, this.#address + 4 * this.control(i));
      this.#point(i * HEADER + VECTOR, this.#address + 4 * (this.#vectorsAt + i * IOVEC));
      this.words[i * HEADER + VECTORS] = 1;
    }
  }

  /** In which word an address begins. */
  name(i: number): number {
    return this.#namesAt + i * NAME_STRIDE;
  }

  /** The same of what comes along. */
  control(i: number): number {
    return this.#controlsAt + i * CONTROL_STRIDE;
  }

  /** Has a datagram lie in so many of the bytes, from `at` on. */
  place(i: number, at: number, length: number): void {
    const vector = this.#vectorsAt + i * IOVEC;
    this.#point(vector, this.#bytesAddress + at);
    this.words[vector + 2] = length;
  }

  #point(word: number, address: number): void {
    this.words[word] = address % TWO_TO_32;
    this.words[word + 1] = address / TWO_TO_32;
  }
}
