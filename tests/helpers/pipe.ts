const NOTHING = new Uint8Array(0);

/** Bytes on their way from one end to the other. */
export class Pipe {
  #bytes = NOTHING;
  /** How many it takes until some arrive. */
  readonly #capacity: number;
  #isCut = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Takes as many of these bytes as there is room for, and gives how many: when it is cut, it takes them all, and they are lost. */
  put(bytes: Uint8Array): number {
    if (this.#isCut) return bytes.length;
    const n = Math.min(bytes.length, this.#capacity - this.#bytes.length);
    const all = new Uint8Array(this.#bytes.length + n);
    all.set(this.#bytes);
    all.set(bytes.subarray(0, n), this.#bytes.length);
    this.#bytes = all;
    return n;
  }

  /** Up to so many of them arrive. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const part = this.#bytes.slice(0, count);
    this.#bytes = this.#bytes.slice(part.length);
    return part;
  }

  /** Only so many of them can still arrive, and nothing that is put from now on. */
  cut(left: number): void {
    this.#bytes = this.#bytes.slice(0, left);
    this.#isCut = true;
  }
}
