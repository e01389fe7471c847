import assert from "node:assert/strict";
import { AckedSession, type AckedSessionOptions } from "../../lib/scp/v2/mod.ts";
import { assertSameBytes } from "./bytes.ts";
import type { Pipe } from "./pipe.ts";
import { pattern } from "./random.ts";
import { Wiretap } from "./wiretap.ts";

const PATTERNS = [pattern(0, 2 ** 21, 1), pattern(0, 2 ** 21, 2)];
const NOTHING = new Uint8Array(0);

/** What an end has of a link. */
export interface LinkEnd {
  out: Pipe;
  in: Pipe;
}

/** One end of a session, with its application: what it sends is known, and what comes is checked byte by byte where it is consumed. */
export class AckedEnd {
  session: AckedSession;
  link: LinkEnd | undefined;
  readonly options: AckedSessionOptions;
  /** Bytes that the application has sent, and has consumed. */
  sent = 0;
  eaten = 0;
  /** How many bytes it consumes until it is hungry again. */
  appetite = 0;
  /** It saw the peer's end. */
  hasSeenEnd = false;
  /** The positions at which what it sends begins, and what comes. */
  readonly #starts: readonly [number, number];
  /** On every link that it had. */
  readonly #taps: Wiretap[] = [];
  readonly #own: Uint8Array;
  readonly #other: Uint8Array;

  /** `starts`: the positions at which what it sends begins, and what comes. */
  constructor(options: AckedSessionOptions, isClient: boolean, [sent, received]: readonly [number, number]) {
    this.options = options;
    this.session = new AckedSession(options);
    this.#starts = [sent, received];
    if (sent + received > 0) this.session = startedAt(this.session, sent, received);
    [this.#own, this.#other] = isClient ? [PATTERNS[0]!, PATTERNS[1]!] : [PATTERNS[1]!, PATTERNS[0]!];
  }

  /** Sends as many of so many bytes as there is room for. */
  send(count: number): number {
    const n = Math.min(count, this.session.room);
    if (n > 0) this.session.send(this.#own.slice(this.sent, this.sent + n) as Uint8Array<ArrayBuffer>);
    this.sent += n;
    return n;
  }

  /** The application consumes so many bytes more. */
  eat(count: number): void {
    this.appetite += count;
    this.session.drain(this);
    this.#seeEnd();
  }

  /** The link takes so many bytes, or as many as it does. */
  flush(count: number): number {
    let flushed = 0;
    while (this.link && flushed < count) {
      const wire = this.session.wire.subarray(0, count - flushed);
      const n = this.link.out.put(wire);
      if (n === 0) break;
      this.#taps.at(-1)!.write(wire.subarray(0, n));
      this.session.wrote(n);
      flushed += n;
    }
    return flushed;
  }

  /** So many bytes arrive, in pieces of that size. */
  arrive(count: number, piece: number): number {
    if (!this.link) return 0;
    const bytes = this.link.in.take(count);
    for (let at = 0; at < bytes.length; at += piece) {
      this.session.receive(bytes.slice(at, at + piece), this);
      this.#seeEnd();
    }
    return bytes.length;
  }

  attach(link: LinkEnd, received: number): void {
    this.session.assertPosition(received);
    this.session.attach(received, NOTHING);
    this.link = link;
    this.#taps.push(new Wiretap(received, this.#starts[0], this.options.dialect === "plain" ? this.#own : undefined));
  }

  detach(): void {
    this.link = undefined;
  }

  /** It goes on in another process, over the link that it has, if any; in the middle of whatever is under way there. */
  restore(): void {
    this.session = AckedSession.restore(structuredClone(this.session.snapshot));
  }

  /** What holds at any time, of this end and the other. */
  check(other: AckedEnd): void {
    const { session } = this;
    const { cacheSize, peerWindow, window } = this.options;
    const limit = Math.min(cacheSize, peerWindow);
    const unacked = session.sent - session.acked;
    assert(session.room >= 0, "room is negative");
    assert(
      unacked <= limit && session.room <= limit - unacked,
      "more may be sent than the peer's window, or the cache, has",
    );
    assert(session.acked <= other.session.consumed, "something is acknowledged that was not consumed");
    assert(other.session.received <= session.sent, "something was received that was not sent");
    assert.equal(session.consumed, this.#starts[1] + this.eaten + (this.hasSeenEnd ? 1 : 0));
    assert(session.received - session.consumed <= window, "more waits than the window holds");
    assert(session.windowInUse <= ringOf(window), `${session.windowInUse} bytes for a window of ${window}`);
    const most = ringOf(mostFrames(cacheSize));
    assert(session.cacheInUse <= most, `${session.cacheInUse} bytes for a cache of ${cacheSize}`);
  }

  /** Checks all that it has written over its links. */
  checkWritten(): void {
    let acked = this.#starts[1];
    for (const tap of this.#taps) acked = tap.check(this.session.sent, acked);
    assert.equal(acked, this.session.consumed, "the last ACK is not of all");
  }

  take(bytes: Uint8Array<ArrayBuffer>): number {
    assert(!this.hasSeenEnd && bytes.length > 0, "something is given after the end, or nothing");
    const n = Math.min(this.appetite, bytes.length);
    const expected = this.#other.subarray(this.eaten, this.eaten + n);
    assertSameBytes(bytes.subarray(0, n), expected, `consumed at ${this.eaten}`);
    bytes.fill(0, 0, n);
    this.appetite -= n;
    this.eaten += n;
    return n;
  }

  #seeEnd(): void {
    if (!this.session.isAtEnd) return;
    assert(!this.hasSeenEnd, "there is one end");
    this.hasSeenEnd = true;
    this.session.consumeEnd();
  }
}

/** The same session, whose streams have come so far without a byte. */
function startedAt({ snapshot }: AckedSession, sent: number, received: number): AckedSession {
  const outgoing = { ...snapshot.outgoing, acked: sent, base: sent, sent };
  return AckedSession.restore({ ...snapshot, outgoing, incoming: { ...snapshot.incoming, received, said: received } });
}

/** The most bytes of frames in a resend cache: the last DATA may bring its headers, and a FIN, and with each what is said. */
export function mostFrames(cacheSize: number): number {
  return cacheSize + 3 * Math.ceil(cacheSize / 16384) + 1 + 2 * 15;
}

/** The memory of a ring for so many bytes. */
export function ringOf(count: number): number {
  let size = 256;
  while (size < count) size *= 2;
  return size;
}
