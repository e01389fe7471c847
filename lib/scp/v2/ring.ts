/** The smallest ring that is worth its overhead. */
const LEAST = 256;
const NOTHING = new Uint8Array(0);

/** A queue of bytes: pushed at its end, dropped at its beginning, of which byte 0 is the first. Its memory is taken as it fills. */
export class Ring {
  #bytes: Uint8Array<ArrayBuffer> = NOTHING;
  #start = 0;
  #length = 0;

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of memory in use. */
  get allocated(): number {
    return this.#bytes.length;
  }

  /** Copies `bytes` to the end. */
  push(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    const tail = this.#index(this.#length);
    const first = Math.min(bytes.length, this.#bytes.length - tail);
    if (first === bytes.length) this.#bytes.set(bytes, tail);
    else {
      this.#bytes.set(bytes.subarray(0, first), tail);
      this.#bytes.set(bytes.subarray(first), 0);
    }
    this.#length += bytes.length;
  }

  pushByte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#index(this.#length)] = byte;
    this.#length++;
  }

  /** The byte of that index, which must be there. */
  at(index: number): number {
    return this.#bytes[this.#index(index)]!;
  }

  /** Bytes from an index on: as many as lie together, in a view that holds until the next call that changes the ring. */
  from(index: number): Uint8Array<ArrayBuffer> {
    const at = this.#index(index);
    return this.#bytes.subarray(at, Math.min(at + this.#length - index, this.#bytes.length));
  }

  /** Copies bytes from an index on, as many as `into` has room for, which must be there. */
  read(index: number, into: Uint8Array): void {
    for (let at = 0; at < into.length;) {
      const part = this.from(index + at).subarray(0, into.length - at);
      into.set(part, at);
      at += part.length;
    }
  }

  /** A copy of all bytes. */
  copy(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#length);
    this.read(0, all);
    return all;
  }

  /** Forgets the first bytes. Their memory stays, for those that come, until `trim`. */
  drop(count: number): void {
    this.#length -= count;
    this.#start = this.#length === 0 ? 0 : this.#index(count);
  }

  /** Gives back the memory that is not needed for what there is. */
  trim(): void {
    if (sizeFor(this.#length) < this.#bytes.length) this.#move(sizeFor(this.#length));
  }

  #index(offset: number): number {
    const at = this.#start + offset;
    return at < this.#bytes.length ? at : at - this.#bytes.length;
  }

  #reserve(count: number): void {
    if (this.#length + count > this.#bytes.length) this.#move(sizeFor(this.#length + count));
  }

  #move(size: number): void {
    const moved = size === 0 ? NOTHING : new Uint8Array(size);
    this.read(0, moved.subarray(0, this.#length));
    this.#bytes = moved;
    this.#start = 0;
  }
}

/** The size of a ring for so many bytes: one of four from a power of 2 to the next, so that little more is taken than is needed. */
function sizeFor(count: number): number {
  if (count === 0) return 0;
  const step = Math.max(LEAST, 2 ** Math.floor(Math.log2(count)) / 4);
  return Math.ceil(count / step) * step;
}
