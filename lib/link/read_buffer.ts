/** A pending read holds its buffer: what an idle connection costs. */
const LEAST = 256;
/** Reads that could have done with a much smaller buffer, in a row, before it shrinks. */
const PATIENCE = 16;

/** A buffer to read into, whose size follows what reads bring: small for an idle connection, large for a flowing one. */
export class ReadBuffer {
  readonly #most: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #smallReads = 0;

  /** `most`: the largest it becomes, in bytes, at least 1. */
  constructor(most: number) {
    this.#most = most;
    this.#bytes = new Uint8Array(Math.min(LEAST, most));
  }

  /** To be read into. Another one after `took`. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /**
   * Says that a read brought `n` bytes, and that they are done with. Gives whether the read filled the buffer: the
   * connection has more than was asked for, and others should have their turn before it is asked again.
   */
  took(n: number): boolean {
    const size = this.#bytes.length;
    this.#smallReads = n > size / 8 ? 0 : this.#smallReads + 1;
    if (n === size && size < this.#most) this.#bytes = new Uint8Array(Math.min(4 * size, this.#most));
    else if (this.#smallReads >= PATIENCE && size > LEAST) this.#bytes = new Uint8Array(LEAST);
    return n === size;
  }
}
