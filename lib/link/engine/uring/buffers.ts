import type { Ring } from "./ring.ts";
import type { Mapping } from "./ring_calls.ts";

/** Bytes of a buffer that the kernel may fill, and of one that it may read: more than most messages of a game have. */
export const LONGEST_READ = 8 * 1024;
export const LONGEST_COPY = 1024;
/** From one to the next: not a power of 2, or they would crowd each other out of the processor's cache. */
const INCOMING_STRIDE = LONGEST_READ + 64;
const OUTGOING_STRIDE = LONGEST_COPY + 64;
/** How many there are: of those that the kernel may fill, a power of 2. */
const INCOMING = 512;
const OUTGOING = 1024;
/** Bytes of an entry of the ring of buffers, and where in the first one the ring's tail is. */
const ENTRY = 16;
const TAIL_AT = 14;
/** Of those that the kernel may fill. */
export const GROUP = 1;

/**
 * The memory that the kernel reads and writes while JavaScript runs: it does not move, and none of it is given on before the kernel
 * is done with it. What comes lies in a buffer that the kernel chose, so that a connection which is idle holds none.
 */
export class Buffers {
  readonly #mapping: Mapping;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #entries: DataView;
  readonly #incomingAt = INCOMING * ENTRY;
  readonly #outgoingAt = this.#incomingAt + INCOMING * INCOMING_STRIDE;
  readonly #free: number[] = [];
  #tail = 0;

  /** Throws when there is no memory, or the kernel does not take it. */
  constructor(ring: Ring) {
    this.#mapping = ring.map(this.#outgoingAt + OUTGOING * OUTGOING_STRIDE);
    this.#bytes = new Uint8Array(this.#mapping.buffer);
    this.#entries = new DataView(this.#mapping.buffer, 0, INCOMING * ENTRY);
    try {
      ring.provide(GROUP, this.#mapping.address, INCOMING);
    } catch (error) {
      ring.unmap(this.#mapping);
      throw error;
    }
    for (let i = 0; i < INCOMING; i++) this.giveBack(i);
    for (let i = OUTGOING; i-- > 0;) this.#free.push(i);
  }

  /** The first `length` bytes of one that the kernel filled: they are the caller's until `giveBack`. */
  filled(id: number, length: number): Uint8Array<ArrayBuffer> {
    const at = this.#incomingAt + id * INCOMING_STRIDE;
    return this.#bytes.subarray(at, at + length);
  }

  /** It is the kernel's again. */
  giveBack(id: number): void {
    const at = (this.#tail & (INCOMING - 1)) * ENTRY;
    const address = this.#mapping.address + this.#incomingAt + id * INCOMING_STRIDE;
    this.#entries.setUint32(at, address % 2 ** 32, true);
    this.#entries.setUint32(at + 4, address / 2 ** 32, true);
    this.#entries.setUint32(at + 8, LONGEST_READ, true);
    this.#entries.setUint16(at + 12, id, true);
    this.#tail = (this.#tail + 1) & 0xffff;
    // The kernel looks when this thread enters, so no barrier is needed.
    this.#entries.setUint16(TAIL_AT, this.#tail, true);
  }

  /** A buffer for the kernel to read until `free`: which one; -1: there is none left. */
  take(): number {
    return this.#free.pop() ?? -1;
  }

  /** Writes bytes to it, from `at` on. */
  write(id: number, at: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#outgoingAt + id * OUTGOING_STRIDE + at);
  }

  /** A copy of what was written to it, from `at` to `end`. */
  read(id: number, at: number, end: number): Uint8Array<ArrayBuffer> {
    const start = this.#outgoingAt + id * OUTGOING_STRIDE;
    return this.#bytes.slice(start + at, start + end);
  }

  /** Where the kernel finds it. */
  addressOf(id: number): number {
    return this.#mapping.address + this.#outgoingAt + id * OUTGOING_STRIDE;
  }

  /** The kernel is done with it. */
  free(id: number): void {
    this.#free.push(id);
  }

  /** To be called when the kernel has come to its end with the ring. */
  close(ring: Ring): void {
    ring.unmap(this.#mapping);
  }
}
