import assert from "node:assert/strict";
import { type FlowingLink, type MovableFlow, NOBODY, type Remains, type Sink } from "../../lib/link/flow.ts";
import type { ClientLink, Endpoint } from "../../lib/link/link.ts";
import { concat } from "./bytes.ts";

/**
 * A flow whose every event is the test's. It holds whoever uses it to the contract of a flow, and the test too: nothing but room
 * for writes is told while it is paused, and nothing at all once it is closed.
 */
export class ManualFlow implements MovableFlow {
  isDrained = true;
  sink: Sink = NOBODY;
  isPaused = true;
  /** The most bytes that it may tell of at once. */
  most = 0;
  isClosed = false;
  isReset = false;
  isWriteClosed = false;
  isCarriedOn = false;
  /** How many bytes it brought so far. */
  brought = 0;
  /** How many bytes writes take until it is given more room. */
  room: number;
  readonly #written: Uint8Array[] = [];
  #isBlocked = false;
  #error: Error | undefined;
  /** What it has to tell before what the test brings. */
  #came: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor({ room = Infinity }: { room?: number } = {}) {
    this.room = room;
  }

  /** What it has taken so far. */
  get written(): Uint8Array<ArrayBuffer> {
    return concat(this.#written);
  }

  /** How many bytes each write took. */
  get writes(): number[] {
    return this.#written.map(({ length }) => length);
  }

  /** What it has taken, as text. */
  get text(): string {
    return new TextDecoder().decode(this.written);
  }

  write(bytes: Uint8Array<ArrayBuffer>): number {
    assert(!this.isClosed, "it is written to after it was closed");
    assert(!this.isWriteClosed || bytes.length === 0, "it is written to after closeWrite()");
    if (this.#error) throw this.#error;
    const taken = Math.min(bytes.length, this.room);
    this.room -= taken;
    if (taken > 0) this.#written.push(bytes.slice(0, taken));
    if (taken < bytes.length) this.#isBlocked = true;
    return taken;
  }

  closeWrite(): void {
    assert(!this.isClosed, "closeWrite() after it was closed");
    assert(!this.isWriteClosed, "closeWrite() a second time");
    assert(!this.#isBlocked, "closeWrite() before all was taken");
    this.isWriteClosed = true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(most: number): void {
    this.isPaused = false;
    this.most = most;
    if (this.#came.length > 0) queueMicrotask(() => this.#tellCame());
  }

  giveAway(): never {
    assert.fail("its test moves it: see `moveOn`");
  }

  /**
   * Somebody else has it from now on: of what it has taken so many bytes, at the most, were not sent. `rest`: what it has told and nobody
   * has dealt with.
   */
  moveOn(unsent: number, rest: Uint8Array): Remains {
    assert(this.isPaused && !this.isClosed, "it is in use, or closed");
    const all = this.written;
    const left = Math.max(0, all.length - unsent);
    this.#written.splice(0, Infinity, all.subarray(0, left));
    const isEnding = this.isWriteClosed && left < all.length;
    if (isEnding) this.isWriteClosed = false;
    this.#isBlocked = false;
    this.#came = concat([rest, this.#came]);
    const came = new Uint8Array(0);
    return { came, isOver: false, fault: undefined, unsent: all.slice(left), isEnding };
  }

  #tellCame(): void {
    if (!this.isHeard || this.#came.length === 0) return;
    const part = this.#came.slice(0, this.most);
    this.#came = this.#came.slice(part.length);
    this.sink.readable(part);
    if (this.#came.length > 0) queueMicrotask(() => this.#tellCame());
  }

  silence(): number {
    return 0;
  }

  unacknowledged(): number {
    return 0;
  }

  close(): void {
    this.isClosed = true;
  }

  reset(): void {
    this.isReset = true;
    this.close();
  }

  /** Whether it may tell of what comes. */
  get isHeard(): boolean {
    return !this.isPaused && !this.isClosed;
  }

  /** Brings bytes. They are the sink's until it returns: after that they are no more what they were. */
  bring(bytes: Uint8Array): void {
    assert(this.isHeard, "nobody is to be told");
    assert(bytes.length <= this.most, `${bytes.length} bytes at once, where ${this.most} were asked for`);
    this.brought += bytes.length;
    const lent = bytes.slice();
    this.sink.readable(lent);
    lent.fill(0xee);
  }

  /** Takes so many bytes more, and says so when a write waits for that. */
  take(bytes = Infinity): void {
    assert(!this.isClosed, "a flow that is closed takes nothing");
    this.room += bytes;
    if (!this.#isBlocked || this.room === 0) return;
    this.#isBlocked = false;
    this.sink.writable();
  }

  end(): void {
    assert(this.isHeard, "nobody is to be told");
    this.sink.ended();
  }

  /** It breaks, and only a write finds out. */
  break(error = new Error("reset")): void {
    this.#error = error;
  }

  /** It breaks, if it has not yet, and says so. */
  lose(error = new Error("reset")): void {
    this.#error ??= error;
    assert(this.isHeard, "nobody is to be told");
    this.sink.lost(this.#error);
  }
}

const ENDPOINT: Endpoint = { hostname: "192.0.2.1", port: 5 };

/** A link that is a manual flow below, as one that was accepted from a client. It is no link of promises. */
export class ManualFlowLink implements FlowingLink, ClientLink {
  readonly remote = ENDPOINT;
  readonly local = ENDPOINT;
  readonly flow: ManualFlow;

  constructor(options: { room?: number; flow?: ManualFlow } = {}) {
    this.flow = options.flow ?? new ManualFlow(options);
  }

  read(): never {
    assert.fail("a flow that is a sink's is read as a link");
  }

  write(): never {
    assert.fail("a flow that is a sink's is written as a link");
  }

  closeWrite(): never {
    assert.fail("a flow that is a sink's is closed as a link");
  }

  close(): void {
    this.flow.close();
  }
}
