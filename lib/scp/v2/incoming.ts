import { FrameError } from "./frame.ts";
import { Ring } from "./ring.ts";

/** A part of the window, and a number of bytes: when so many were consumed since the last ACK, the next one is due at once. */
const DUE_PART = 1 / 4;
const DUE_BYTES = 16 * 1024;

/** Where what comes goes. */
export interface Consumer {
  /** Takes bytes of the stream, which it has until it returns and may overwrite, and says how many: what it does not is given again. */
  take(bytes: Uint8Array<ArrayBuffer>): number;
}

/** What comes into one end of a session, as plain data. */
export interface IncomingSnapshot {
  received: number;
  said: number;
  /** The bytes that were received and are not consumed. */
  waiting: Uint8Array;
  isFinished: boolean;
  /** The end is consumed too. */
  isDone: boolean;
  /** An ACK is to be said at once. */
  isAckWanted: boolean;
}

/**
 * What comes into one end of a session: what its consumer does not take waits here, as much as the window holds. The peer is held to
 * what was acknowledged, and the window.
 */
export class Incoming {
  readonly window: number;
  readonly #waiting = new Ring();
  #received = 0;
  #consumed = 0;
  /** The last ACK that was said. */
  #said = 0;
  #isFinished = false;
  #isDone = false;
  #isAckWanted = false;

  constructor(window: number) {
    this.window = window;
  }

  static restore(window: number, snapshot: IncomingSnapshot): Incoming {
    const incoming = new Incoming(window);
    incoming.#received = snapshot.received;
    incoming.#said = snapshot.said;
    incoming.#isFinished = snapshot.isFinished;
    incoming.#isDone = snapshot.isDone;
    incoming.#isAckWanted = snapshot.isAckWanted;
    incoming.#waiting.push(snapshot.waiting);
    incoming.#consumed = incoming.waiting - snapshot.waiting.length; // none was so far
    return incoming;
  }

  get snapshot(): IncomingSnapshot {
    return {
      received: this.#received,
      said: this.#said,
      waiting: this.#waiting.copy(),
      isFinished: this.#isFinished,
      isDone: this.#isDone,
      isAckWanted: this.#isAckWanted,
    };
  }

  /** The position after the last one that was received: a FIN takes one too. */
  get received(): number {
    return this.#received;
  }

  /** The position up to which the consumer has taken it. */
  get consumed(): number {
    return this.#consumed;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Whether all was consumed, and the end. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Bytes that wait for the consumer: `#waiting` has as many, and with many sessions it is in no cache of the processor. */
  get waiting(): number {
    return this.#received - this.#consumed - (this.#isFinished && !this.#isDone ? 1 : 0);
  }

  get allocated(): number {
    return this.#waiting.allocated;
  }

  /** Whether an ACK would say something new. */
  get owesAck(): boolean {
    return this.#consumed !== this.#said || this.#isAckWanted;
  }

  /** Whether one is to be said at once. */
  get isAckDue(): boolean {
    return this.#isAckWanted || this.#consumed - this.#said >= Math.min(this.window * DUE_PART, DUE_BYTES);
  }

  /** So many bytes are to come, after `before` that have come and are not counted yet. Throws `FrameError` when they may not. */
  expect(count: number, before: number): void {
    if (this.#isFinished) throw new FrameError("a DATA after the FIN");
    this.#assertRoom(count, before);
  }

  /** The end comes, after so many bytes that are not counted yet. Throws `FrameError` when it may not. */
  finish(before: number): void {
    if (this.#isFinished) throw new FrameError("a FIN after the FIN");
    this.#assertRoom(1, before);
    this.#isFinished = true;
    this.#received++;
  }

  /** Gives to `consumer` what waits, and then these bytes, at least one, which came: what it does not take waits. */
  deliver(bytes: Uint8Array<ArrayBuffer>, consumer: Consumer): void {
    const isNext = this.waiting === 0;
    this.#received += bytes.length;
    const n = isNext ? consumer.take(bytes) : 0;
    this.#consumed += n;
    if (n < bytes.length) this.#waiting.push(bytes.subarray(n));
    if (!isNext) this.drain(consumer);
  }

  /** Gives to `consumer` what waits. */
  drain(consumer: Consumer): void {
    while (this.#waiting.length > 0) {
      const part = this.#waiting.from(0);
      const n = consumer.take(part);
      this.#waiting.drop(n);
      this.#consumed += n;
      if (n < part.length) return;
    }
  }

  /** Whether nothing is left to be consumed but the end. */
  get isAtEnd(): boolean {
    return this.#isFinished && !this.#isDone && this.waiting === 0;
  }

  /** The consumer has taken the end. */
  consumeEnd(): void {
    this.#isDone = true;
    this.#consumed++;
    this.#isAckWanted = true;
  }

  /** An ACK is to be said at once, also when it says nothing new. */
  wantAck(): void {
    this.#isAckWanted = true;
  }

  /** An ACK is said of all that was consumed: gives the position. */
  sayAck(): number {
    this.#isAckWanted = false;
    return this.#said = this.#consumed;
  }

  /** Gives back the memory that what waits does not need. */
  trim(): void {
    this.#waiting.trim();
  }

  #assertRoom(count: number, before: number): void {
    const room = this.#said + this.window - this.#received - before;
    if (count > room) throw new FrameError(`${count} bytes, where the window has room for ${room}`);
  }
}
