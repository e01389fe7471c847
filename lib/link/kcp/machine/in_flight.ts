/** Numbers of a slot; its fields are below. */
const SLOT = 8;
const LEAST_SLOTS = 8;
const NO_SLOTS = new Int32Array(0);

/** Bytes of data. */
export const LENGTH = 0;
/** The ts that went with it last. */
export const TS = 1;
/** On the clock of ts: when it is sent again. */
export const RESEND_AT = 2;
/** From one time that it is sent to the next, in milliseconds. */
export const TIMEOUT = 3;
/** ACKs of later segments that were sent no earlier, since it was sent. */
export const OVERTAKEN = 4;
/** 1: it was sent. */
export const WAS_SENT = 5;
/** 1: the peer has it, and waits for an earlier one. */
export const ACKNOWLEDGED = 6;

/** As plain data. */
export interface InFlightSnapshot {
  una: number;
  isOvertaken: boolean;
  /** The numbers of the slots, from that of `una` on, as this machine has them in memory. */
  slots: Uint8Array<ArrayBuffer>;
}

/** Segments that were cut and that the peer may not have: from `una`, the first, to before `next`. They hold no data. */
export class InFlight {
  /** The fields of the segment `sn` begin at `slotOf(sn)`. */
  slots: Int32Array = NO_SLOTS;
  una: number;
  next: number;
  /** Whether an ACK overtook one of them since `settle`. */
  isOvertaken = false;

  constructor(first: number) {
    this.una = this.next = first | 0;
  }

  get snapshot(): InFlightSnapshot {
    const slots = new Int32Array(this.count * SLOT);
    for (let i = 0; i < this.count; i++) {
      const from = this.slotOf((this.una + i) | 0);
      slots.set(this.slots.subarray(from, from + SLOT), i * SLOT);
    }
    return { una: this.una, isOvertaken: this.isOvertaken, slots: new Uint8Array(slots.buffer) };
  }

  /** Is from now on as that one was, and gives how many bytes it has. Throws `RangeError` when the numbers are none of slots. */
  goOnFrom({ una, isOvertaken, slots }: InFlightSnapshot): number {
    if (slots.length % (4 * SLOT) !== 0) throw new RangeError("half a segment in flight");
    const numbers = new Int32Array(slots.slice().buffer);
    this.una = this.next = una | 0;
    let bytes = 0;
    for (let at = 0; at < numbers.length; at += SLOT) {
      bytes += numbers[at + LENGTH]!;
      this.push(0);
      this.slots.set(numbers.subarray(at, at + SLOT), this.slotOf((this.next - 1) | 0));
    }
    this.isOvertaken = isOvertaken;
    return bytes;
  }

  get count(): number {
    return (this.next - this.una) | 0;
  }

  slotOf(sn: number): number {
    return (sn * SLOT) & (this.slots.length - 1);
  }

  /** Adds one of so many bytes. */
  push(length: number): void {
    if (this.count * SLOT === this.slots.length) this.#grow();
    const slot = this.slotOf(this.next);
    this.slots.fill(0, slot, slot + SLOT);
    this.slots[slot + LENGTH] = length;
    this.next = (this.next + 1) | 0;
  }

  /** The peer has all before `una`: how many bytes these are. One that is not between the first and the next says nothing. */
  acknowledgeBefore(una: number): number {
    if (((una - this.una) | 0) <= 0 || ((una - this.next) | 0) > 0) return 0;
    let bytes = 0;
    for (; this.una !== una; this.una = (this.una + 1) | 0) bytes += this.slots[this.slotOf(this.una) + LENGTH]!;
    return bytes;
  }

  /**
   * The peer has that one, as an ACK says that has this ts. Those before it that were not sent later were overtaken. Of several ACKs
   * of one segment only the first counts: the path doubles them, and a peer could make much work of little.
   */
  acknowledge(sn: number, ts: number): void {
    if (((sn - this.una) | 0) < 0 || ((sn - this.next) | 0) >= 0) return;
    const acknowledged = this.slotOf(sn) + ACKNOWLEDGED;
    if (this.slots[acknowledged] === 1) return;
    this.slots[acknowledged] = 1;
    for (let earlier = this.una; earlier !== sn; earlier = (earlier + 1) | 0) {
      const slot = this.slotOf(earlier);
      if (this.slots[slot + ACKNOWLEDGED] === 1 || ((this.slots[slot + TS]! - ts) | 0) > 0) continue;
      this.slots[slot + OVERTAKEN]!++;
      this.isOvertaken = true;
    }
  }

  /** None of them counts as sent any more. */
  beginAnew(): void {
    for (let sn = this.una; sn !== this.next; sn = (sn + 1) | 0) this.slots[this.slotOf(sn) + WAS_SENT] = 0;
    this.isOvertaken = this.count > 0;
  }

  /** Gives back the memory, when there is none. */
  trim(): void {
    if (this.count === 0) this.slots = NO_SLOTS;
  }

  #grow(): void {
    const former = this.slots;
    const mask = former.length - 1;
    this.slots = new Int32Array(Math.max(LEAST_SLOTS * SLOT, former.length * 2));
    for (let sn = this.una; sn !== this.next; sn = (sn + 1) | 0) {
      const from = (sn * SLOT) & mask;
      this.slots.set(former.subarray(from, from + SLOT), this.slotOf(sn));
    }
  }
}
