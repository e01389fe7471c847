import { MOST_DESCRIPTORS, type Received } from "./descriptor_calls.ts";
import type { DescriptorSocket } from "./descriptor_socket.ts";
import { Descriptors } from "./descriptors.ts";
import { joined } from "../../joined.ts";
import { reasonOf } from "../../link.ts";
import { Semaphore } from "../../../semaphore.ts";
import { pack, type PlainData, unpack } from "./plain_data.ts";

/** Of a message: three lengths, of its text, of the bytes that follow it, and how many descriptors it has. */
const HEADER = 12;
/** The longest text and bytes of a message: what is longer is none of ours. */
const MOST = 256 * 2 ** 20;
/** Bytes that are sent as one, as long as they are so few. */
const SMALL = 64 * 1024;

/** Why a message is of no use that is cut: see `Message`. */
export const CUT = "this process has no room for the descriptors that were sent: is its limit of open files reached?";

/** The other process is gone, or what it sends is no message: nothing comes any more. */
export class BrokenParcel extends Error {}

/** What came at once. */
export interface Message extends Disposable {
  data: unknown;
  /** They are the receiver's to take; those that it does not take are closed when the message is disposed of. */
  descriptors: Descriptors;
  /** This process has no numbers for the descriptors that were sent: none has come. */
  isCut: boolean;
}

/** A channel between two processes, over which messages go: plain data, and descriptors with it. */
export class Parcel {
  readonly #socket: DescriptorSocket;
  readonly #sending = new Semaphore(1);
  /** What has come and is not looked at. */
  #rest = new Uint8Array(0);
  /** Of each message that has any, in their order: the system does not give those of two at once. */
  readonly #descriptors: Pick<Received, "descriptors" | "isCut">[] = [];
  #isEnded = false;
  #isClosed = false;

  /** Owns the socket. */
  constructor(socket: DescriptorSocket) {
    this.#socket = socket;
  }

  /**
   * Sends a message; the descriptors, at most 253, stay the caller's, and what they stand for is the other process's as well from then
   * on. Settles when the system has taken it all, which may be long before the other process has read it. Rejects with `BrokenParcel`.
   */
  async send(data: PlainData, descriptors: readonly number[] = []): Promise<void> {
    if (descriptors.length > MOST_DESCRIPTORS) throw new RangeError(`more than ${MOST_DESCRIPTORS} descriptors`);
    const { text, bytes } = pack(data);
    const length = bytes.reduce((sum, { length }) => sum + length, 0);
    if (Math.max(text.length, length) > MOST) throw new RangeError(`a message of more than ${MOST} bytes`);
    await this.#write(text, { bytes, length, descriptors });
  }

  /** Says that nothing more comes from here. */
  async end(): Promise<void> {
    await this.#write(new Uint8Array(0), { bytes: [], length: 0, descriptors: [] });
  }

  /**
   * The next message; `undefined`: the other process has said that there is no more. One at a time. Rejects with `BrokenParcel`, when it
   * went without saying so as well, and when this end is closed.
   */
  async receive(): Promise<Message | undefined> {
    if (this.#isEnded) return undefined;
    try {
      return await this.#receive();
    } catch (error) {
      this.close();
      throw error instanceof BrokenParcel ? error : new BrokenParcel(reasonOf(error));
    }
  }

  /** What is under way rejects, and what came and nobody received is closed. May be called again. */
  close(): void {
    this.#isClosed = true;
    this.#socket.close();
    new Descriptors(this.#descriptors.splice(0).flatMap(({ descriptors }) => descriptors))[Symbol.dispose]();
  }

  async #receive(): Promise<Message | undefined> {
    const header = new DataView((await this.#take(HEADER)).buffer);
    const [textLength, length, count] = [header.getUint32(0), header.getUint32(4), header.getUint32(8)];
    if (Math.max(textLength, length) > MOST || count > MOST_DESCRIPTORS) throw new BrokenParcel("no message of ours");
    this.#isEnded = textLength === 0;
    if (this.#isEnded) return undefined;
    const text = await this.#take(textLength);
    const bytes = await this.#take(length);
    const { descriptors: numbers = [], isCut = false } = count > 0 ? this.#descriptors.shift() ?? {} : {};
    const descriptors = new Descriptors(numbers);
    try {
      if (numbers.length !== count && !isCut) throw new BrokenParcel("descriptors are missing");
      return { data: unpack(text, bytes), descriptors, isCut, [Symbol.dispose]: () => descriptors[Symbol.dispose]() };
    } catch (error) {
      descriptors[Symbol.dispose]();
      throw error;
    }
  }

  async #write(
    text: Uint8Array,
    { bytes, length, descriptors }: { bytes: Uint8Array[]; length: number; descriptors: readonly number[] },
  ): Promise<void> {
    const header = new DataView(new ArrayBuffer(HEADER));
    header.setUint32(0, text.length);
    header.setUint32(4, length);
    header.setUint32(8, descriptors.length);
    const parts = [new Uint8Array(header.buffer), text, ...bytes];
    const isSmall = HEADER + text.length + length <= SMALL;
    await this.#sending.run(async () => {
      let passed = descriptors; // with the first bytes
      for (const part of isSmall ? [joined(...parts)] : parts) {
        if (part.length > 0) await this.#socket.write(part, passed);
        passed = [];
      }
    }).catch((error) => {
      throw new BrokenParcel(reasonOf(error));
    });
  }

  /** The next so many bytes. */
  async #take(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const taken = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      if (this.#rest.length === 0) await this.#readMore();
      const part = this.#rest.subarray(0, count - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return taken;
  }

  async #readMore(): Promise<void> {
    const { bytes, descriptors, isCut } = await this.#socket.read();
    if (descriptors.length > 0 || isCut) this.#descriptors.push({ descriptors, isCut });
    if (this.#isClosed) throw new BrokenParcel("it is closed");
    if (bytes.length === 0) throw new BrokenParcel("the other process is gone");
    if (this.#descriptors.length > 2) throw new BrokenParcel("descriptors that belong to no message");
    this.#rest = bytes;
  }
}
