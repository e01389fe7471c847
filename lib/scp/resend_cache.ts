/** The smallest ring that is worth its overhead. */
const LEAST = 256;

/**
 * The last bytes sent to the peer, as they went over the wire, kept to be sent again (protocol: Terms). Bytes are named
 * by their absolute position in the stream, from 0. The memory used grows as bytes come and is never more than `capacity`.
 */
export class ResendCache {
  readonly capacity: number;
  #ring: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Where in the ring the next byte goes. */
  #tail = 0;
  #length = 0;
  #end = 0;

  /** `capacity`: the most bytes that are kept, at least 1. */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** One of that capacity whose last bytes are these, the last one before the position `end`. Copies them. */
  static restore(capacity: number, bytes: Uint8Array, end: number): ResendCache {
    const cache = new ResendCache(capacity);
    cache.#end = end - bytes.length;
    cache.append(bytes);
    return cache;
  }

  /** All bytes that are held: a copy. */
  get bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#length);
    for (let at = this.start; at < this.#end;) {
      const part = this.from(at);
      bytes.set(part, at - this.start);
      at += part.length;
    }
    return bytes;
  }

  /** The position after the last byte: how many bytes were ever appended. */
  get end(): number {
    return this.#end;
  }

  /** The position of the first byte that is still held. */
  get start(): number {
    return this.#end - this.#length;
  }

  /** Bytes of memory in use. */
  get allocated(): number {
    return this.#ring.length;
  }

  /** Forgets all bytes, and gives their memory back; positions go on. */
  release(): void {
    this.#ring = new Uint8Array(0);
    this.#tail = 0;
    this.#length = 0;
  }

  /** Forgets all but the last `count` bytes, and gives back the memory that these do not need. */
  shrink(count: number): void {
    this.#length = Math.min(this.#length, count);
    if (sizeFor(this.#length, this.capacity) < this.#ring.length) this.#move(sizeFor(this.#length, this.capacity));
  }

  /** Copies `bytes` to the end; the oldest are forgotten when there is no room. The caller keeps `bytes`. */
  append(bytes: Uint8Array): void {
    this.#end += bytes.length;
    const kept = bytes.length > this.capacity ? bytes.subarray(bytes.length - this.capacity) : bytes;
    if (this.#length + kept.length > this.#ring.length) this.#grow(this.#length + kept.length);
    this.#put(kept);
    this.#length = Math.min(this.#length + kept.length, this.#ring.length);
  }

  /** Whether all bytes from `position` to the end are held. */
  holds(position: number): boolean {
    return position >= this.start && position <= this.#end;
  }

  /**
   * Bytes from `position` on, which must be held: as many as lie together, in a view that holds until the next `append`; none at the
   * end.
   */
  from(position: number): Uint8Array<ArrayBuffer> {
    const at = this.#tail - (this.#end - position);
    return at >= 0 ? this.#ring.subarray(at, this.#tail) : this.#ring.subarray(at + this.#ring.length);
  }

  #grow(wanted: number): void {
    const size = sizeFor(wanted, this.capacity);
    if (size !== this.#ring.length) this.#move(size);
  }

  /** To a ring of another size, which has room for all of it. */
  #move(size: number): void {
    const first = this.from(this.start);
    const second = this.from(this.start + first.length);
    this.#ring = new Uint8Array(size);
    this.#tail = 0;
    this.#put(first);
    this.#put(second);
  }

  /** Writes at the tail, around the end of the ring. `bytes` is no longer than the ring. */
  #put(bytes: Uint8Array): void {
    const first = Math.min(bytes.length, this.#ring.length - this.#tail);
    this.#ring.set(first === bytes.length ? bytes : bytes.subarray(0, first), this.#tail);
    if (first < bytes.length) this.#ring.set(bytes.subarray(first), 0);
    this.#tail += bytes.length;
    if (this.#tail >= this.#ring.length) this.#tail -= this.#ring.length;
  }
}

/** The size of a ring for so many bytes. */
function sizeFor(count: number, capacity: number): number {
  return count === 0 ? 0 : Math.min(capacity, Math.max(LEAST, 2 ** Math.ceil(Math.log2(count))));
}
