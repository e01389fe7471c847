import { Ring } from "../../../scp/v2/ring.ts";
import { Congestion, type CongestionSnapshot } from "./congestion.ts";
import type { Counters } from "./counters.ts";
import { ACKNOWLEDGED, InFlight, type InFlightSnapshot, LENGTH, OVERTAKEN } from "./in_flight.ts";
import { RESEND_AT, TIMEOUT, TS, WAS_SENT } from "./in_flight.ts";
import type { KcpStart } from "./kcp.ts";
import type { KcpOptions } from "./options.ts";
import type { Packer } from "./packer.ts";
import { Proof } from "./proof.ts";
import { RoundTrip, type RoundTripSnapshot } from "./round_trip.ts";
import { HEADER, PUSH } from "./segment.ts";

/** Segments that a peer takes which has not yet told its window. */
const FIRST_WINDOW = 32;
/** Milliseconds after which all that is in flight is looked at again in any case. */
const LONGEST_WAIT = 60_000;

/** As plain data: times are those of the clock of ts. */
export interface SenderSnapshot {
  /** What the peer may not have, of which so many of the last are not yet cut. */
  bytes: Uint8Array<ArrayBuffer>;
  uncut: number;
  flight: InFlightSnapshot;
  remoteWindow: number;
  resendAt: number;
  roundTrip: RoundTripSnapshot;
  /** See `Proof.snapshot`. */
  proof: number[] | undefined;
  /** Missing: less is not sent when segments are lost. */
  congestion: CongestionSnapshot | undefined;
}

/** What goes to the peer: bytes that were not yet cut into segments, and segments until the peer has them. */
export class Sender {
  readonly roundTrip: RoundTrip;
  readonly proof = new Proof();
  /** Segments that the peer has room for, counted from `una`. */
  remoteWindow = FIRST_WINDOW;
  readonly #options: KcpOptions;
  readonly #mustProve: boolean;
  readonly #counters: Counters;
  readonly #congestion: Congestion | undefined;
  readonly #flight: InFlight;
  /** First the bytes of the segments in flight, then those that were not yet cut. */
  readonly #ring = new Ring();
  #uncut = 0;
  /** On the clock of ts, when there are segments in flight: no later than the first of them is to be sent again. */
  #resendAt = 0;
  /** Whether segments were sent again in this flush, as ACKs overtook them, and as their time was over. */
  #wasOvertaken = false;
  #wasLate = false;

  constructor(options: KcpOptions, counters: Counters, { first = 0, mustProve = false }: KcpStart) {
    this.#options = options;
    this.#mustProve = mustProve;
    this.#counters = counters;
    this.roundTrip = new RoundTrip(options);
    this.#congestion = options.congestion ? new Congestion(this.#most) : undefined;
    this.#flight = new InFlight(first);
  }

  get snapshot(): SenderSnapshot {
    return {
      bytes: this.#ring.copy(),
      uncut: this.#uncut,
      flight: this.#flight.snapshot,
      remoteWindow: this.remoteWindow,
      resendAt: this.#resendAt,
      roundTrip: this.roundTrip.snapshot,
      proof: this.proof.snapshot,
      congestion: this.#congestion?.snapshot,
    };
  }

  /** Is from now on as that one was. Throws `RangeError` when its bytes are not those of its segments. */
  goOnFrom({ bytes, uncut, flight, remoteWindow, resendAt, roundTrip, proof, congestion }: SenderSnapshot): void {
    if (this.#flight.goOnFrom(flight) + uncut !== bytes.length) throw new RangeError("bytes of no segment");
    this.#ring.push(bytes);
    this.#uncut = uncut;
    this.remoteWindow = remoteWindow;
    this.#resendAt = resendAt;
    this.roundTrip.goOnFrom(roundTrip);
    this.proof.goOnFrom(proof);
    if (congestion) this.#congestion?.goOnFrom(congestion);
  }

  /** Bytes that the peer may not have. */
  get held(): number {
    return this.#ring.length;
  }

  /** Bytes that are taken now. */
  get room(): number {
    const window = Math.min(this.#options.sendWindow, this.remoteWindow) * this.#most;
    return Math.max(0, Math.min(this.#options.sendBytes, window) - this.#ring.length);
  }

  get una(): number {
    return this.#flight.una;
  }

  get inFlight(): number {
    return this.#flight.count;
  }

  /** Whether a flush sends something new. */
  get canSend(): boolean {
    return this.#uncut > 0 && this.#flight.count < this.#window;
  }

  /** Whether an ACK came of a later segment than one that is missing. */
  get isOvertaken(): boolean {
    return this.#flight.isOvertaken;
  }

  /** Milliseconds until a segment is to be sent again, as of the last flush. */
  waitAt(clock: number): number {
    return this.#flight.count === 0 ? Infinity : Math.max(0, (this.#resendAt - clock) | 0);
  }

  /** Copies what it takes of the bytes: so many. */
  send(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.room);
    if (taken > 0) this.#ring.push(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    this.#uncut += taken;
    return taken;
  }

  /** What is in flight goes again with the next flush, as if it had not been sent. */
  beginAnew(): void {
    this.#flight.beginAnew();
  }

  /** The peer has all before `una`; see `KcpStart.mustProve`. */
  onUna(una: number): void {
    if (this.#mustProve && !this.proof.isGiven) return;
    const bytes = this.#flight.acknowledgeBefore(una);
    if (bytes > 0) this.#ring.drop(bytes);
  }

  /** The peer has that one, and says so with `una`. */
  onAck(sn: number, ts: number, una: number): void {
    this.proof.echoed(ts);
    if (this.#mustProve) this.onUna(una);
    this.#flight.acknowledge(sn, ts);
  }

  /** A datagram acknowledged segments. */
  onProgress(): void {
    this.#congestion?.onAcknowledged(this.remoteWindow);
  }

  /** Packs what is to be sent again, and what is new. */
  flush(clock: number, packer: Packer): void {
    const flight = this.#flight;
    const window = this.#window;
    const uncutFrom = this.#ring.length - this.#uncut;
    const fresh = this.#cut(window);
    const before = this.waitAt(clock);
    if (flight.isOvertaken || fresh === flight.count || before === 0) {
      flight.isOvertaken = false;
      this.#resendAt = (clock + this.#transmit(flight.una, 0, fresh > 0, clock, packer)) | 0;
    } else if (fresh > 0) {
      const wait = this.#transmit((flight.next - fresh) | 0, uncutFrom, true, clock, packer);
      this.#resendAt = (clock + Math.min(wait, before)) | 0;
    }
    if (this.#wasOvertaken) this.#congestion?.onResent(flight.count, this.#options.resend);
    if (this.#wasLate) this.#congestion?.onTimeout(window);
    this.#wasOvertaken = this.#wasLate = false;
  }

  /** Gives back the memory that what there is does not need. */
  trim(): void {
    this.#ring.trim();
    this.#flight.trim();
  }

  /** The most data of a segment. */
  get #most(): number {
    return this.#options.mtu - HEADER;
  }

  /** Segments that may be in flight. */
  get #window(): number {
    return Math.min(this.#options.sendWindow, this.remoteWindow, this.#congestion?.window ?? Infinity);
  }

  /** Cuts as many segments as the window has room for: so many. */
  #cut(window: number): number {
    let count = 0;
    for (; this.#uncut > 0 && this.#flight.count < window; count++) {
      const length = Math.min(this.#uncut, this.#most);
      this.#flight.push(length);
      this.#uncut -= length;
    }
    return count;
  }

  /**
   * Packs the segments from `first` on whose time it is; the data of the first are at `offset` in the ring. Returns how long it is
   * until the time of the next.
   */
  #transmit(first: number, offset: number, hasNew: boolean, clock: number, packer: Packer): number {
    const flight = this.#flight;
    const { slots } = flight;
    let wait = LONGEST_WAIT;
    for (let sn = first; sn !== flight.next; sn = (sn + 1) | 0) {
      const slot = flight.slotOf(sn);
      const length = slots[slot + LENGTH]!;
      if (slots[slot + ACKNOWLEDGED] === 0) {
        if (this.#isTimeOf(slot, clock, hasNew)) {
          slots[slot + TS] = clock;
          this.proof.sent(clock);
          const at = packer.add(PUSH, clock, sn, length);
          this.#ring.read(offset, packer.buffer.subarray(at, at + length));
        }
        if (slots[slot + OVERTAKEN]! > 0) flight.isOvertaken = true;
        wait = Math.min(wait, (slots[slot + RESEND_AT]! - clock) | 0);
      }
      offset += length;
    }
    return wait;
  }

  /** Whether a segment is to be sent now, which is then accounted for. */
  #isTimeOf(slot: number, clock: number, hasNew: boolean): boolean {
    const { slots } = this.#flight;
    const overtaken = slots[slot + OVERTAKEN]!;
    const { timeout } = this.roundTrip;
    if (slots[slot + WAS_SENT] === 0 || this.#isLost(overtaken, hasNew)) slots[slot + TIMEOUT] = timeout;
    else if (((clock - slots[slot + RESEND_AT]!) | 0) >= 0) {
      slots[slot + TIMEOUT]! += this.#options.nodelay ? timeout >> 1 : timeout;
      this.#counters.timeout++;
      this.#wasLate = true;
    } else return false;
    slots[slot + WAS_SENT] = 1;
    slots[slot + OVERTAKEN] = 0;
    slots[slot + RESEND_AT] = (clock + slots[slot + TIMEOUT]!) | 0;
    return true;
  }

  /** Whether so many ACKs of later ones say that a segment is lost. */
  #isLost(overtaken: number, hasNew: boolean): boolean {
    const { resend } = this.#options;
    if (resend > 0 && overtaken >= resend) this.#counters.fast++;
    else if (overtaken > 0 && !hasNew) this.#counters.early++;
    else return false;
    return this.#wasOvertaken = true;
  }
}
