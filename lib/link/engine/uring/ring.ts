import { MSG_NOSIGNAL, type System } from "../system.ts";
import { type Mapping, RingCalls } from "./ring_calls.ts";

/**
 * Operations that are handed over at once at the most, and that can be done and not looked at; more are kept by the kernel. A ring
 * of these takes 92 KiB of what a user may lock, often 8 MiB in all: so much is left for other threads and processes.
 */
const ENTRIES = 256;
const COMPLETIONS = 16 * ENTRIES;

const SETUP_CQSIZE = 1 << 3;
const SETUP_TASKRUN_FLAG = 1 << 9;
const SETUP_SINGLE_ISSUER = 1 << 12;
/** What is done is told when this thread asks, not in the middle of what it does (Linux 6.1). */
const SETUP_DEFER_TASKRUN = 1 << 13;
const FLAGS = SETUP_CQSIZE | SETUP_TASKRUN_FLAG | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN;
const FEATURE_SINGLE_MMAP = 1 << 0;
const FEATURE_NODROP = 1 << 1;
const FEATURE_EXT_ARG = 1 << 8;
const FEATURES = FEATURE_SINGLE_MMAP | FEATURE_NODROP | FEATURE_EXT_ARG;

const OFFSET_SQES = 0x10000000;
const ENTER_GETEVENTS = 1 << 0;
const ENTER_EXT_ARG = 1 << 3;
const REGISTER_EVENTFD = 4;
const REGISTER_PBUF_RING = 22;
const SQ_CQ_OVERFLOW = 1 << 1;
const SQ_TASKRUN = 1 << 2;
const CQ_EVENTFD_DISABLED = 1 << 0;

/** Words of an entry. */
const SQE = 16;
const CQE = 4;
/** A `struct io_uring_getevents_arg`, which points to the `struct __kernel_timespec` after it. */
const ARGUMENT = 24;

const OP_POLL_ADD = 6;
const OP_ASYNC_CANCEL = 14;
const OP_SEND = 26;
const OP_RECV = 27;
/** The kernel chooses the buffer, when there is something for it. */
const SQE_BUFFER_SELECT = 1 << 5;
/** There is nothing yet, most likely. */
const RECV_POLL_FIRST = 1 << 0;
const RECV_MULTISHOT = 1 << 1;
const POLL_MULTI = 1 << 0;
const MSG_WAITALL = 0x100;
const TWO_TO_32 = 2 ** 32;

/** Flags of what is done: which buffer it has, in the upper half; more will come of that operation. */
export const CQE_BUFFER = 1 << 0;
export const CQE_MORE = 1 << 1;

/**
 * A ring of io_uring: operations go in, what became of them comes out. It belongs to the thread that made it. Nothing is handed over
 * before `enter`.
 */
export class Ring {
  readonly #system: System;
  readonly #calls = RingCalls.open();
  /** -1: it is closed. */
  #fd: number;
  readonly #queues: Mapping;
  readonly #entries: Mapping;
  readonly #argument: Mapping;
  readonly #argumentAt: bigint;
  readonly #nanoseconds: Uint32Array;
  readonly #words: Int32Array;
  readonly #sqes: Uint32Array;
  /** Where in `#words` these are. */
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqFlags: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqFlags: number;
  readonly #cqes: number;
  readonly #sqMask: number;
  readonly #cqMask: number;
  #tail = 0;
  #head = 0;
  /** Operations that are not handed over. */
  #pending = 0;

  /** Throws where the kernel has none, or none that does what is needed, or does not allow it. */
  constructor(system: System) {
    this.#system = system;
    const params = new Uint8Array(new ArrayBuffer(120));
    const view = new DataView(params.buffer);
    view.setUint32(4, COMPLETIONS, true);
    view.setUint32(8, FLAGS, true);
    this.#fd = this.#calls.setup(ENTRIES, params);
    if (this.#fd < 0) throw new Error(`io_uring_setup: ${system.error().message}`);
    const mapped: Mapping[] = [];
    const map = (length: number, offset?: number) => {
      const mapping = this.#calls.map(length, offset === undefined ? undefined : { fd: this.#fd, offset });
      mapped.push(mapping);
      return mapping;
    };
    try {
      const word = (at: number) => view.getUint32(at, true);
      const lacks = FEATURES & ~word(20);
      if (lacks) throw new Error(`the kernel's io_uring lacks features 0x${lacks.toString(16)}`);
      const [sqEntries, cqEntries, sqOff, cqOff] = [word(0), word(4), 40, 80];
      const length = Math.max(word(sqOff + 24) + 4 * sqEntries, word(cqOff + 20) + 4 * CQE * cqEntries);
      this.#queues = map(length, 0);
      this.#entries = map(4 * SQE * sqEntries, OFFSET_SQES);
      this.#argument = map(4096);
      this.#words = new Int32Array(this.#queues.buffer, 0, length >> 2);
      this.#sqes = new Uint32Array(this.#entries.buffer);
      [this.#sqHead, this.#sqTail, this.#sqFlags] = [word(sqOff) >> 2, word(sqOff + 4) >> 2, word(sqOff + 16) >> 2];
      [this.#cqHead, this.#cqTail, this.#cqFlags] = [word(cqOff) >> 2, word(cqOff + 4) >> 2, word(cqOff + 24) >> 2];
      this.#cqes = word(cqOff + 20) >> 2;
      [this.#sqMask, this.#cqMask] = [sqEntries - 1, cqEntries - 1];
      // The place of an entry is always that of its number.
      const array = word(sqOff + 24) >> 2;
      for (let i = 0; i < sqEntries; i++) this.#words[array + i] = i;
      this.#nanoseconds = new Uint32Array(this.#argument.buffer, ARGUMENT + 8, 1);
      this.#argumentAt = BigInt(this.#argument.address);
      new DataView(this.#argument.buffer).setBigUint64(16, this.#argumentAt + BigInt(ARGUMENT), true);
    } catch (error) {
      for (const mapping of mapped) this.#calls.unmap(mapping);
      system.close(this.#fd);
      throw error;
    }
  }

  /** Has a descriptor told of what is done, while `isTelling` is. Throws when it cannot be had. */
  tellBy(bell: number): void {
    const number = new Uint8Array(Int32Array.of(bell).buffer);
    if (this.#calls.register(this.#fd, REGISTER_EVENTFD, number, 1) < 0) throw this.#system.error();
    this.isTelling = false;
  }

  set isTelling(is: boolean) {
    Atomics.store(this.#words, this.#cqFlags, is ? 0 : CQ_EVENTFD_DISABLED);
  }

  /** Gives the kernel a ring of buffers, of so many entries, at that address, for operations of that group. Throws when it cannot be. */
  provide(group: number, address: number, entries: number): void {
    const registration = new Uint8Array(new ArrayBuffer(40));
    const view = new DataView(registration.buffer);
    view.setBigUint64(0, BigInt(address), true);
    view.setUint32(8, entries, true);
    view.setUint16(12, group, true);
    if (this.#calls.register(this.#fd, REGISTER_PBUF_RING, registration, 1) < 0) {
      throw new Error(`io_uring's buffers: ${this.#system.error().message}`);
    }
  }

  /** Memory that does not move, the ring's owner's to give back. */
  map(length: number): Mapping {
    return this.#calls.map(length);
  }

  unmap(mapping: Mapping): void {
    this.#calls.unmap(mapping);
  }

  /** Asks to be told when one of these events is there, once, or each time. `low` and `high` name the operation when it is done. */
  poll(fd: number, events: number, isMulti: boolean, low: number, high: number): void {
    this.#ask(OP_POLL_ADD, fd, 0, 0, isMulti ? POLL_MULTI : 0, events, low, high, 0);
  }

  /** Asks for at most `most` bytes, in a buffer of a group. */
  receive(fd: number, most: number, group: number, low: number, high: number): void {
    this.#ask(OP_RECV | SQE_BUFFER_SELECT << 8 | RECV_POLL_FIRST << 16, fd, 0, 0, most, 0, low, high, group);
  }

  /** Asks for all that comes, in as many buffers of a group as it takes, until it ends, is given up, or there is no buffer left. */
  receiveAll(fd: number, group: number, low: number, high: number): void {
    const flags = RECV_POLL_FIRST | RECV_MULTISHOT;
    this.#ask(OP_RECV | SQE_BUFFER_SELECT << 8 | flags << 16, fd, 0, 0, 0, 0, low, high, group);
  }

  /** Asks to send all of the bytes at an address, which nothing may touch until it is done. Gives the number of the request. */
  send(fd: number, address: number, length: number, low: number, high: number): number {
    const flags = MSG_NOSIGNAL | MSG_WAITALL;
    this.#ask(OP_SEND, fd, address % TWO_TO_32, address / TWO_TO_32, length, flags, low, high, 0);
    return (this.#tail - 1) | 0;
  }

  /** Has a send, by the number of its request, send so many bytes in all: gives whether it was not handed over before. */
  extend(request: number, length: number): boolean {
    if (((this.#tail - request) | 0) > this.#pending) return false;
    this.#sqes[(request & this.#sqMask) * SQE + 6] = length;
    return true;
  }

  /** Asks to give that operation up; what becomes of it is told all the same. */
  cancel(ofLow: number, ofHigh: number, low: number, high: number): void {
    this.#ask(OP_ASYNC_CANCEL, -1, ofLow, ofHigh, 0, 0, low, high, 0);
  }

  /** Hands over what was asked for, and waits at most `timeout` milliseconds, below 1,000, for something to be done; 0: not at all. */
  enter(timeout: number): void {
    if (timeout === 0 && !this.needsEnter) return;
    Atomics.store(this.#words, this.#sqTail, this.#tail);
    if (timeout > 0 && this.ready === 0) {
      this.#nanoseconds[0] = timeout * 1_000_000;
      const flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
      this.#system.waited(this.#calls.enter(this.#fd, this.#pending, 1, flags, this.#argumentAt, BigInt(ARGUMENT)));
    } else {
      this.#system.waited(this.#calls.enter(this.#fd, this.#pending, 0, ENTER_GETEVENTS, 0n, 0n));
    }
    // How many it took is told by the head also when the wait failed: by a signal, or as the time is over.
    this.#pending = (this.#tail - Atomics.load(this.#words, this.#sqHead)) | 0;
  }

  /** How many operations are done that were not looked at. */
  get ready(): number {
    return (Atomics.load(this.#words, this.#cqTail) - this.#head) | 0;
  }

  /** Where the first of them is, for `low`, `high`, `result` and `flags`; to be called when there is one. */
  get next(): number {
    return this.#cqes + (this.#head & this.#cqMask) * CQE;
  }

  low(at: number): number {
    return this.#words[at]!;
  }

  high(at: number): number {
    return this.#words[at + 1]!;
  }

  result(at: number): number {
    return this.#words[at + 2]!;
  }

  flags(at: number): number {
    return this.#words[at + 3]!;
  }

  /** The first of them has been looked at: its place is the kernel's again. */
  advance(): void {
    this.#head = (this.#head + 1) | 0;
    Atomics.store(this.#words, this.#cqHead, this.#head);
  }

  /** Nothing may be under way. */
  close(): void {
    this.#system.close(this.#fd);
    this.#fd = -1;
    for (const mapping of [this.#queues, this.#entries, this.#argument]) this.#calls.unmap(mapping);
  }

  /** Whether something is to be handed over, or the kernel has something to tell that is not in the queue yet. */
  get needsEnter(): boolean {
    return this.#pending > 0 || (Atomics.load(this.#words, this.#sqFlags) & (SQ_TASKRUN | SQ_CQ_OVERFLOW)) !== 0;
  }

  /** Writes an entry; numbers of 32 bits each. */
  #ask(
    codeAndFlags: number,
    fd: number,
    addressLow: number,
    addressHigh: number,
    length: number,
    own: number,
    low: number,
    high: number,
    group: number,
  ): void {
    if (this.#pending > this.#sqMask) this.enter(0);
    if (this.#pending > this.#sqMask) throw new Error("the kernel takes no more operations of io_uring");
    const sqes = this.#sqes;
    const at = (this.#tail & this.#sqMask) * SQE;
    sqes[at] = codeAndFlags;
    sqes[at + 1] = fd;
    sqes[at + 4] = addressLow;
    sqes[at + 5] = addressHigh;
    sqes[at + 6] = length;
    sqes[at + 7] = own;
    sqes[at + 8] = low;
    sqes[at + 9] = high;
    sqes[at + 10] = group;
    this.#tail = (this.#tail + 1) | 0;
    this.#pending++;
  }
}
