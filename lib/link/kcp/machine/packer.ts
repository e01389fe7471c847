import { type Command, type Head, HEADER, LONGEST_DATAGRAM, PUSH, writeHead } from "./segment.ts";

/** What all segments of a flush have in common. */
export interface Common {
  conv: number;
  /** The most bytes of a datagram. */
  mtu: number;
  window: number;
  una: number;
}

/** Takes a datagram: a view that holds while it runs. It must flush no machine, nor throw. */
export type Output = (datagram: Uint8Array) => void;

/** Packs segments into datagrams. One serves all machines of a thread, a flush after the other. */
export class Packer {
  /** The datagram that is being packed. */
  readonly buffer: Uint8Array = new Uint8Array(LONGEST_DATAGRAM);
  /** Of the buffer, by their length: made once. */
  readonly #views: Uint8Array[] = [];
  /** Of the segment that is packed; as one object, it is made once. */
  readonly #head: Head = { conv: 0, command: PUSH, window: 0, ts: 0, sn: 0, una: 0, length: 0 };
  /** Segments packed since `begin`. */
  count = 0;
  #mtu = LONGEST_DATAGRAM;
  #length = 0;
  #output: Output = () => {};

  begin({ conv, mtu, window, una }: Common, output: Output): void {
    this.#head.conv = conv;
    this.#head.window = window;
    this.#head.una = una;
    this.count = 0;
    this.#mtu = mtu;
    this.#output = output;
  }

  /** Packs a segment but for its data, for which room is left: where in the buffer. A datagram that has no room for it goes first. */
  add(command: Command, ts: number, sn: number, length: number): number {
    if (this.#length + HEADER + length > this.#mtu) this.end();
    const head = this.#head;
    head.command = command;
    head.ts = ts;
    head.sn = sn;
    head.length = length;
    const at = this.#length;
    writeHead(this.buffer, at, head);
    this.#length = at + HEADER + length;
    this.count++;
    return at + HEADER;
  }

  /** Lets go what is packed. */
  end(): void {
    const length = this.#length;
    if (length === 0) return;
    this.#length = 0;
    this.#output(this.#views[length] ??= this.buffer.subarray(0, length));
  }
}
