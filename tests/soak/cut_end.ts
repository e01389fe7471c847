import { ResumableStream } from "../../lib/link/resumable.ts";
import type { Sink } from "../../lib/link/flow.ts";
import type { SocketLink } from "../../lib/link/engine/engine.ts";
import { Session } from "../../lib/scp/mod.ts";
import { pattern, patternAt, type Random } from "../helpers/random.ts";

/** Bytes that may be under way in a direction: as many as can be sent again. */
const CACHE = 16 * 1024;
const LARGEST_WRITE = 8 * 1024;

export interface EndOptions {
  /** Of the pattern that it sends. */
  number: number;
  encrypted: boolean;
  random: Random;
  /** Calls back in another round of events. */
  soon: (callback: () => void) => void;
  onLost: () => void;
  /** Hears of bytes that came, and were right. */
  onBytes: (count: number) => void;
  onFault: (error: Error) => void;
}

/** One end of a session that is cut all the time: it sends a pattern without end, and checks the other's. */
export class CutEnd implements Sink {
  readonly session: Session;
  readonly stream: ResumableStream;
  readonly #options: EndOptions;
  #peer: CutEnd | undefined;
  #link: SocketLink | undefined;
  #isFinishing = false;

  constructor(options: EndOptions) {
    const dialect = options.encrypted ? "goscon" : "plain";
    this.#options = options;
    this.session = new Session({ id: 1, secret: 0x0123456789abcdefn, dialect, cacheSize: CACHE });
    this.stream = new ResumableStream(this.session, options.onLost);
    this.stream.sink = this;
  }

  /** What it sends to; and it begins to. */
  start(peer: CutEnd): void {
    this.#peer = peer;
    this.stream.resume(this.#most());
    this.#write();
  }

  /** Goes on over a link, of which the other end has `received` bytes of its stream. */
  attach(
    link: SocketLink,
    received: number,
    { first = [] as Uint8Array<ArrayBuffer>[], rest = new Uint8Array(0) },
  ): void {
    this.#link = link;
    this.stream.attach(link, { first, from: this.session.positionOf(received), rest });
  }

  /** Takes the link away, and the other end sees an end, or a reset. */
  cut(isReset: boolean): void {
    if (!this.stream.isAttached) return;
    if (isReset) this.#link!.reset();
    this.stream.detach("cut");
  }

  /** Sends no more than it has. */
  finish(): void {
    this.#isFinishing = true;
  }

  /** Whether the other end has all of it. */
  get isReceived(): boolean {
    return this.#peer!.session.received === this.session.sent;
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    const { random, soon, onBytes, onFault } = this.#options;
    const at = this.session.received - bytes.length;
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] === patternAt(at + i, this.#peer!.number)) continue;
      return onFault(new Error(`byte ${at + i} to end ${this.number} is wrong: ${bytes[i]}`));
    }
    if (random.next() < 0.1) {
      this.stream.pause();
      soon(() => this.stream.resume(this.#most()));
    }
    this.#peer!.#write();
    onBytes(bytes.length);
  }

  writable(): void {
    this.#write();
  }

  ended(): void {}
  lost(): void {}

  get number(): number {
    return this.#options.number;
  }

  /** The most bytes of a read. */
  #most(): number {
    return this.#options.random.int(1, LARGEST_WRITE);
  }

  #write(): void {
    const { random } = this.#options;
    for (;;) {
      const room = CACHE - (this.session.sent - this.#peer!.session.received);
      if (this.#isFinishing || room === 0) return;
      const length = Math.min(random.int(1, LARGEST_WRITE), room);
      if (this.stream.write(pattern(this.session.sent, length, this.number)) === 0) return;
    }
  }
}
