import { ResumableStream } from "../../lib/link/resumable.ts";
import type { Sink } from "../../lib/link/flow.ts";
import type { SocketLink } from "../../lib/link/engine/engine.ts";
import { flowOf } from "../../lib/link/pumped_flow.ts";
import { Session } from "../../lib/scp/mod.ts";
import { pattern, patternAt, type Random } from "../helpers/random.ts";

/** Bytes that may be under way in a direction: as many as can be sent again. */
const CACHE = 16 * 1024;
export const LARGEST_WRITE = 8 * 1024;

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

/** One end of a session that is cut all the time: it sends a pattern, which is not to end, and checks the other's. */
export interface End {
  readonly session: { readonly received: number };
  /** Whether a link is there. */
  readonly isAttached: boolean;
  /** Whether the other end has all of it. */
  readonly isReceived: boolean;
  /** Goes on over a link, of which the other end has `received` bytes of its stream; `rest` came after it said so. */
  attach(
    link: SocketLink,
    received: number,
    answer: { first?: Uint8Array<ArrayBuffer>; rest?: Uint8Array<ArrayBuffer> },
  ): void;
  /** Takes the link away, if there is one. */
  detach(reason: string): void;
  /** The same, and the other end sees an end, or a reset. */
  cut(isReset: boolean): void;
  /** Sends no more than it has. */
  finish(): void;
  close(): void;
}

/** Throws unless that is what a stream has from `position`. */
export function assertPattern(bytes: Uint8Array, position: number, stream: number): void {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === patternAt(position + i, stream)) continue;
    throw new Error(`byte ${position + i} of stream ${stream} is wrong: ${bytes[i]}`);
  }
}

/** An end of version 1. */
export class CutEnd implements End, Sink {
  readonly session: Session;
  readonly #stream: ResumableStream;
  readonly #options: EndOptions;
  #peer: CutEnd | undefined;
  #link: SocketLink | undefined;
  #isFinishing = false;

  constructor(options: EndOptions) {
    const dialect = options.encrypted ? "goscon" : "plain";
    this.#options = options;
    this.session = new Session({ id: 1, secret: 0x0123456789abcdefn, dialect, cacheSize: CACHE });
    this.#stream = new ResumableStream(this.session, options.onLost);
    this.#stream.sink = this;
  }

  /** What it sends to; and it begins to. */
  start(peer: CutEnd): void {
    this.#peer = peer;
    this.#stream.resume(this.#most());
    this.#write();
  }

  attach(link: SocketLink, received: number, { first = new Uint8Array(0), rest = new Uint8Array(0) }): void {
    this.#link = link;
    this.#stream.attach(flowOf(link), {
      first: first.length > 0 ? [first] : [],
      from: this.session.positionOf(received),
      rest,
    });
  }

  get isAttached(): boolean {
    return this.#stream.isAttached;
  }

  detach(reason: string): void {
    this.#stream.detach(reason);
  }

  cut(isReset: boolean): void {
    if (!this.#stream.isAttached) return;
    if (isReset) this.#link!.reset();
    this.#stream.detach("cut");
  }

  finish(): void {
    this.#isFinishing = true;
  }

  get isReceived(): boolean {
    return this.#peer!.session.received === this.session.sent;
  }

  close(): void {
    this.#stream.close();
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    const { random, soon, onBytes, onFault } = this.#options;
    const at = this.session.received - bytes.length;
    try {
      assertPattern(bytes, at, this.#peer!.number);
    } catch (error) {
      return onFault(error as Error);
    }
    if (random.next() < 0.1) {
      this.#stream.pause();
      soon(() => this.#stream.resume(this.#most()));
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
      if (this.#stream.write(pattern(this.session.sent, length, this.number)) === 0) return;
    }
  }
}
