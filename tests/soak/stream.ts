import { type Link, writeAll } from "../../lib/link/link.ts";
import type { Random } from "../helpers/random.ts";
import { sleep } from "./sleep.ts";

/** The most bytes of a message, without its header. */
const LONGEST = 8000;
/** Bytes of a header: the length of what follows; 0: nothing does, and nothing more will. */
const HEADER = 4;
/** Milliseconds between two messages. */
const PAUSE = [500, 3000] as const;

/** The most milliseconds that an end goes on after the other end has ended its direction, in version 2. */
export const HALF_OPEN = 4000;

/** 32 bits that look random of a number (the finaliser of MurmurHash3): no two streams are alike. */
function keyOf(stream: number): number {
  let h = stream + 1;
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return h ^ h >>> 16;
}

/** The byte at a position: one that is lost, doubled, moved or another stream's shows. */
function byteAt(position: number, key: number): number {
  return Math.imul(position ^ key, 0x9e3779b1) >>> 24;
}

/** One way of a session at the end that sends: messages at a gentle pace, of bytes that the other end knows. */
export class Sender {
  readonly #link: Link;
  readonly #key: number;
  readonly #random: Random;
  readonly #done: Promise<void>;
  #position = 0;
  #finishing = false;

  /** Begins at once, with messages of `burst` bytes without a pause. `messages`: after so many it ends by itself; 0: it does not. */
  constructor(
    link: Link,
    stream: number,
    { random, burst = 0, messages = 0 }: { random: Random; burst?: number; messages?: number },
  ) {
    this.#link = link;
    this.#key = keyOf(stream);
    this.#random = random;
    this.#done = this.#run(burst, messages || Infinity);
    this.#done.catch(() => {}); // whoever reads from the link says so
  }

  /** Settles when it has sent that there are no more messages. Rejects when the link broke. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Sends no new message, but that there are no more; settles when that is sent. Rejects when the link broke. */
  finish(): Promise<void> {
    this.#finishing = true;
    return this.#done;
  }

  async #run(burst: number, messages: number): Promise<void> {
    for (let left = burst; left > 0; left -= LONGEST) await this.#send(Math.min(left, LONGEST));
    for (let left = messages; left > 0 && !this.#finishing; left--) {
      await this.#send(this.#random.int(1, LONGEST));
      await sleep(this.#random.int(...PAUSE));
    }
    await this.#send(0);
  }

  async #send(length: number): Promise<void> {
    const message = new Uint8Array(HEADER + length);
    new DataView(message.buffer).setUint32(0, length);
    for (let i = 0; i < length; i++) message[HEADER + i] = byteAt(this.#position + i, this.#key);
    this.#position += length;
    await writeAll(this.#link, message);
  }
}

/** The same way at the end that receives: every byte is checked. */
export class Checker {
  readonly #key: number;
  readonly #header = new Uint8Array(HEADER);
  #headerLength = 0;
  /** Bytes of the message that are still to come. */
  #left = 0;
  #position = 0;
  /** Bytes that were right, headers too. */
  checked = 0;
  /** Whether the sender said that there are no more. */
  finished = false;

  constructor(stream: number) {
    this.#key = keyOf(stream);
  }

  /** Takes the next bytes. Throws, in one sentence, when they are not what was sent. */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.finished) throw new Error(`wrong: bytes after the end, at byte ${this.checked}`);
      at += this.#left > 0 ? this.#takeBody(bytes.subarray(at)) : this.#takeHeader(bytes.subarray(at));
    }
  }

  #takeHeader(bytes: Uint8Array): number {
    const part = bytes.subarray(0, HEADER - this.#headerLength);
    this.#header.set(part, this.#headerLength);
    this.#headerLength += part.length;
    if (this.#headerLength === HEADER) {
      this.#left = new DataView(this.#header.buffer).getUint32(0);
      if (this.#left > LONGEST) throw new Error(`wrong: a header of ${this.#header}, at byte ${this.checked}`);
      this.#headerLength = 0;
      this.finished = this.#left === 0;
    }
    this.checked += part.length;
    return part.length;
  }

  #takeBody(bytes: Uint8Array): number {
    const length = Math.min(this.#left, bytes.length);
    for (let i = 0; i < length; i++) {
      const expected = byteAt(this.#position + i, this.#key);
      if (bytes[i] === expected) continue;
      throw new Error(`wrong: ${bytes[i]} for ${expected}, at byte ${this.checked + i}`);
    }
    this.#left -= length;
    this.#position += length;
    this.checked += length;
    return length;
  }
}
