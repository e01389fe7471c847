import type { Link } from "../../../link/link.ts";

// What nodes ask and answer each other: a length, of four bytes, big-endian, and so many bytes of JSON.

const HEADER = 4;
/** About what most messages go into, in bytes. */
const FIRST_ROOM = 4096;

/** Reads the messages of a link, one after the other. It does not own the link. */
export class MessageReader {
  readonly #link: Link;
  readonly #most: number;
  /** What has come of the messages to come. */
  #bytes: Uint8Array<ArrayBuffer>;
  #filled: number;

  /** `rest`: bytes that came before. `most`: the longest JSON that is taken, in bytes. */
  constructor(link: Link, rest: Uint8Array, most: number) {
    this.#link = link;
    this.#most = most;
    this.#bytes = new Uint8Array(Math.max(rest.length, FIRST_ROOM));
    this.#bytes.set(rest);
    this.#filled = rest.length;
  }

  /**
   * What the next message says; `undefined`: the link ended before its first byte. Rejects when the link breaks or ends in the middle, and
   * for what is no message. There is room for no more than twice what has come.
   */
  async next(): Promise<{ value: unknown } | undefined> {
    if (!await this.#fill(HEADER)) return undefined;
    const length = new DataView(this.#bytes.buffer).getUint32(0);
    if (length > this.#most) throw new Error(`a message of ${length} bytes, where at most ${this.#most} are taken`);
    await this.#fill(HEADER + length);
    const json = new TextDecoder().decode(this.#bytes.subarray(HEADER, HEADER + length));
    const rest = this.#bytes.subarray(HEADER + length, this.#filled);
    const next = new Uint8Array(Math.max(rest.length, FIRST_ROOM));
    next.set(rest);
    this.#bytes = next;
    this.#filled = rest.length;
    try {
      return { value: JSON.parse(json) };
    } catch {
      throw new Error("a message that is no JSON");
    }
  }

  /** Reads until there are so many bytes. Gives whether there are: when not, there is none. */
  async #fill(size: number): Promise<boolean> {
    while (this.#filled < size) {
      if (this.#filled === this.#bytes.length) {
        const larger = new Uint8Array(2 * this.#bytes.length);
        larger.set(this.#bytes);
        this.#bytes = larger;
      }
      const n = await this.#link.read(this.#bytes.subarray(this.#filled));
      if (n === null && this.#filled === 0) return false;
      if (n === null) throw new Error("the peer broke off in the middle of a message");
      this.#filled += n;
    }
    return true;
  }
}

/** A message that says that. Throws when its JSON has more than `most` bytes. */
export function messageOf(value: unknown, most: number): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(value));
  if (json.length > most) throw new Error(`a message of ${json.length} bytes, where at most ${most} are taken`);
  const message = new Uint8Array(HEADER + json.length);
  new DataView(message.buffer).setUint32(0, json.length);
  message.set(json, HEADER);
  return message;
}
