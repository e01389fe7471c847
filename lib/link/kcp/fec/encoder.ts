import {
  DATA,
  endOfSeqids,
  FEC_HEADER,
  FEC_OVERHEAD,
  LONGEST_DATAGRAM,
  PARITY,
  writeHeader,
  writeSize,
} from "./fec_frame.ts";
import type { ReedSolomon } from "./reed_solomon.ts";

/** Where datagrams get their headers: of all encoders of a thread, as each datagram is given on before the next. */
const scratch = new Uint8Array(LONGEST_DATAGRAM);

/**
 * The sending end of one session's FEC: numbers its datagrams, and adds parity to each group of them, as kcp-go does,
 * when the last of the group goes. Between groups it holds nothing, and else as many datagrams as a group has parity.
 */
export class FecEncoder {
  readonly #code: ReedSolomon;
  readonly #end: number;
  #next: number;
  /** What the data of this group, so far, make of each parity datagram, header included. */
  #parity: Uint8Array[] = [];
  /** How many data datagrams of this group there were. */
  #count = 0;

  /** `first`: the number of the first datagram, where a group begins. */
  constructor(code: ReedSolomon, first = 0) {
    this.#code = code;
    this.#end = endOfSeqids(code.data + code.parity);
    this.#next = first;
  }

  /** The number with which the next group begins: for another that goes on there, and leaves out the parity of this one. */
  get nextGroup(): number {
    const isWithin = this.#count > 0;
    return isWithin ? (this.#next - this.#count + this.#code.data + this.#code.parity) % this.#end : this.#next;
  }

  /**
   * Gives `output`, which copies what it keeps, the datagram that bears these segments, and, when it is the last of its
   * group, the parity. Where that is not worth sending, as the group took too long, `withParity` is false: the
   * numbers are as if it had been sent. Throws a `RangeError` when it would be longer than `LONGEST_DATAGRAM`.
   */
  encode(segments: Uint8Array, output: (datagram: Uint8Array) => void, withParity = true): void {
    const datagram = scratch.subarray(0, FEC_OVERHEAD + segments.length);
    datagram.set(segments, FEC_OVERHEAD);
    const covered = datagram.subarray(FEC_HEADER);
    writeSize(covered, segments.length);
    writeHeader(datagram, this.#next++, DATA);
    this.#grow(datagram.length);
    this.#code.add(this.#count++, covered, this.#parity.map((parity) => parity.subarray(FEC_HEADER)));
    output(datagram);
    if (this.#count === this.#code.data) this.#endGroup(output, withParity);
  }

  #endGroup(output: (datagram: Uint8Array) => void, withParity: boolean): void {
    const group = this.#parity;
    const first = this.#next;
    this.#parity = [];
    this.#count = 0;
    this.#next = (first + this.#code.parity) % this.#end;
    if (!withParity) return;
    group.forEach((parity, j) => {
      writeHeader(parity, first + j, PARITY);
      output(parity);
    });
  }

  /** Makes the parity of this group as long as the longest of its datagrams. */
  #grow(length: number): void {
    if (length <= (this.#parity[0]?.length ?? 0)) return;
    this.#parity = Array.from({ length: this.#code.parity }, (_, j) => {
      const parity = new Uint8Array(length);
      parity.set(this.#parity[j] ?? []);
      return parity;
    });
  }
}
