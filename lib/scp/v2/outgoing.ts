import {
  ACK,
  DATA,
  DATA_HEADER,
  FIN,
  FrameError,
  MOST_DATA,
  MOST_SAID,
  MOVE,
  PING,
  PONG,
  writeClose,
  writeMove,
  writeNumber,
} from "./frame.ts";
import { Ring } from "./ring.ts";

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);
/** Where what is said is put together. */
const SAID = new Uint8Array(MOST_SAID);

/** What is to be said beside the stream, over the link there is. */
export interface ToSay {
  ack: number | undefined;
  pong: number | undefined;
  ping: number | undefined;
  move: string | undefined;
}

/** What goes out of one end of a session, as plain data: also what is under way over the link there is, in the middle of a frame. */
export interface OutgoingSnapshot {
  sent: number;
  acked: number;
  finish: "none" | "wanted" | "sent";
  /** Frames as they go over the wire, of which the first may be acknowledged, and where in the stream that begins. */
  frames: Uint8Array;
  base: number;
  /** How many bytes of them the link has taken. */
  written: number;
  toSay: ToSay;
  /** What of that was said, and the link has not taken yet. */
  saying: Uint8Array;
}

/**
 * What goes out of one end of a session: the stream in frames, as they go over the wire, from the first byte that is not acknowledged,
 * and what is to be said beside it. What is said is never sent again, and goes before the next DATA; where one is ready, in one piece
 * with it.
 */
export class Outgoing {
  // What each frame that comes has to do with is first: with many sessions it is in no cache of the processor.
  #sent = 0;
  #acked = 0;
  /** How many bytes of the frames the link has not taken. */
  #unwritten = 0;
  #finish: OutgoingSnapshot["finish"] = "none";
  /** Of what was said, the bytes that the link has not taken yet. */
  #saying = NOTHING;
  /** What is to be said: in this order. */
  #ack: number | undefined;
  #pong: number | undefined;
  #ping: number | undefined;
  #move: string | undefined;
  #close: { code: number; reason: string } | undefined;
  #isClosing = false;
  /** The most bytes of frames. */
  readonly cacheSize: number;
  /** The most positions that are not acknowledged, as the peer holds them. */
  readonly peerWindow: number;
  /** Frames as they go over the wire: DATA and FIN, and between them what was said. Those that are acknowledged stay until there is need. */
  readonly #frames = new Ring();
  /** The position in the stream of the first of these, and where one of them begins or ends. */
  #base = 0;
  #boundary = 0;

  constructor(cacheSize: number, peerWindow: number) {
    this.cacheSize = cacheSize;
    this.peerWindow = peerWindow;
  }

  static restore(cacheSize: number, peerWindow: number, snapshot: OutgoingSnapshot): Outgoing {
    const outgoing = new Outgoing(cacheSize, peerWindow);
    outgoing.#sent = snapshot.sent;
    outgoing.#acked = snapshot.acked;
    outgoing.#finish = snapshot.finish;
    outgoing.#frames.push(snapshot.frames);
    outgoing.#base = snapshot.base;
    outgoing.#unwritten = snapshot.frames.length - snapshot.written;
    const { ack, pong, ping, move } = snapshot.toSay;
    [outgoing.#ack, outgoing.#pong, outgoing.#ping, outgoing.#move] = [ack, pong, ping, move];
    outgoing.#saying = Uint8Array.from(snapshot.saying);
    return outgoing;
  }

  /** Not of one that is to say that the session is over. */
  get snapshot(): OutgoingSnapshot {
    return {
      sent: this.#sent,
      acked: this.#acked,
      finish: this.#finish,
      frames: this.#frames.copy(),
      base: this.#base,
      written: this.#written,
      toSay: { ack: this.#ack, pong: this.#pong, ping: this.#ping, move: this.#move },
      saying: this.#saying.slice(),
    };
  }

  /** The position after the last one that was sent, or is to be: a FIN takes one too. */
  get sent(): number {
    return this.#sent;
  }

  /** Bytes of the stream, without its end. */
  get bytes(): number {
    return this.#finish === "sent" ? this.#sent - 1 : this.#sent;
  }

  /** The position up to which the peer has consumed. */
  get acked(): number {
    return this.#acked;
  }

  /** The position from which on all can be sent again: what the peer has said that it has is not. */
  get oldest(): number {
    return Math.max(this.#acked, this.#base);
  }

  get isFinished(): boolean {
    return this.#finish !== "none";
  }

  /** Whether the peer has consumed all, and the end. */
  get isDone(): boolean {
    return this.#finish === "sent" && this.#acked === this.#sent;
  }

  get allocated(): number {
    return this.#frames.allocated;
  }

  /** How many bytes of the stream may be sent now. */
  get room(): number {
    if (this.isFinished) return 0;
    this.#forget();
    return Math.max(0, Math.min(this.#positionsLeft, this.cacheSize - this.#frames.length));
  }

  get #positionsLeft(): number {
    return Math.min(this.cacheSize, this.peerWindow) - (this.#sent - this.#acked);
  }

  /** Whether the link has taken all there is. */
  get isEmpty(): boolean {
    return this.#unwritten + this.#saying.length === 0 && !this.hasSomethingToSay;
  }

  /** Bytes that come next in the stream, no more than there is room for, as they go over the wire: copies them. */
  send(bytes: Uint8Array): void {
    this.#sayFirst();
    this.#push(bytes);
  }

  /** The stream ends after what was sent: as soon as there is room for that. */
  finish(): void {
    if (this.isFinished) return;
    this.#finish = "wanted";
    this.#tryFinish();
  }

  /** The peer has consumed up to a position, mod 2^32. Throws `FrameError` when that was never sent. */
  acknowledged(onWire: number): void {
    const more = (onWire - this.#acked) >>> 0; // mod 2^32, and no double, which V8 would keep outside of this
    if (more > this.#sent - this.#acked) throw new FrameError(`an ACK of ${onWire}, which was never sent`);
    this.#acked += more;
    this.#tryFinish();
  }

  /**
   * Goes on over another link, whose peer has received up to a position: from `oldest` to `sent`. `first` goes before all else, and then
   * an ACK, if one is to be said; what was to be said over the link before is forgotten, but a close.
   */
  attach(received: number, first: Uint8Array<ArrayBuffer>, ack?: number): void {
    const left = this.#streamFrom(received);
    const holdsFin = this.#holdsFin(received);
    this.#frames.drop(this.#frames.length);
    this.#base = this.#sent = received;
    this.#unwritten = this.#boundary = 0;
    this.#pong = this.#ping = this.#move = undefined;
    this.#ack = ack;
    this.#saying = NOTHING;
    if (first.length > 0) this.#saying = Uint8Array.from([...first, ...SAID.subarray(0, this.#takeSaid())]);
    else this.#sayFirst();
    this.#push(left);
    if (holdsFin) this.#pushFin();
  }

  /** Says that all below a position is consumed: in the place of an ACK that was not said yet. */
  sayAck(position: number): void {
    this.#ack = position;
  }

  sayPing(number: number): void {
    this.#ping = number;
  }

  /** In the place of one that was not said yet. */
  sayPong(number: number): void {
    this.#pong = number;
  }

  sayMove(url: string): void {
    this.#move = url;
  }

  /** Nothing comes after that. */
  sayClose(code: number, reason: string): void {
    this.#close = { code, reason };
  }

  /** What the link is to be given next, as much as lies together: a view that holds until the next call; none: there is nothing. */
  get wire(): Uint8Array<ArrayBuffer> {
    if (this.#saying.length > 0) return this.#saying;
    if (this.#isClosing) return NOTHING;
    const written = this.#written;
    if (!this.hasSomethingToSay) return this.#frames.from(written);
    const end = this.#endOfFrame();
    if (written === end) return this.#saying = SAID.slice(0, this.#takeSaid());
    return this.#frames.from(written).subarray(0, end - written);
  }

  /** The link has taken so many bytes of `wire`. */
  wrote(count: number): void {
    // Nothing of what was said is kept then.
    if (this.#saying.length > 0) this.#saying = count < this.#saying.length ? this.#saying.subarray(count) : NOTHING;
    else this.#unwritten -= count;
  }

  /** Before all else the link is given these bytes, which it has taken before. */
  writeAgain(bytes: Uint8Array): void {
    this.#saying = Uint8Array.from([...bytes, ...this.#saying]);
  }

  /** Gives back the memory that what is not acknowledged does not need. */
  trim(): void {
    this.#forget();
    this.#frames.trim();
  }

  /** Whether something is to be said beside the stream. */
  get hasSomethingToSay(): boolean {
    return (this.#ack ?? this.#pong ?? this.#ping ?? this.#move ?? this.#close) !== undefined;
  }

  /** Writes all there is to say to the beginning of `SAID`, and gives how many bytes that is; the close comes last. */
  #takeSaid(): number {
    let end = 0;
    if (this.#ack !== undefined) end = writeNumber(SAID, end, ACK, this.#ack);
    if (this.#pong !== undefined) end = writeNumber(SAID, end, PONG, this.#pong);
    if (this.#ping !== undefined) end = writeNumber(SAID, end, PING, this.#ping);
    if (this.#move !== undefined) end = writeMove(SAID, end, this.#move);
    if (this.#close) end = writeClose(SAID, end, this.#close.code, this.#close.reason);
    this.#isClosing ||= this.#close !== undefined;
    this.#ack =
      this.#pong =
      this.#ping =
      this.#move =
      this.#close =
        undefined;
    return end;
  }

  /** Where nothing waits for the link, what is to be said lies together with the DATA that comes. */
  #sayFirst(): void {
    if (!this.hasSomethingToSay || this.#close || this.#unwritten + this.#saying.length > 0) return;
    const end = this.#takeSaid();
    for (let i = 0; i < end; i++) this.#frames.pushByte(SAID[i]!);
    this.#unwritten += end;
  }

  #push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += MOST_DATA) {
      const part = bytes.length > MOST_DATA ? bytes.subarray(at, at + MOST_DATA) : bytes;
      this.#pushHeader(part.length);
      this.#frames.push(part);
      this.#unwritten += DATA_HEADER + part.length;
    }
    this.#sent += bytes.length;
  }

  #pushHeader(count: number): void {
    this.#frames.pushByte(DATA);
    this.#frames.pushByte(count >> 8);
    this.#frames.pushByte(count & 255);
  }

  #pushFin(): void {
    this.#frames.pushByte(FIN);
    this.#unwritten++;
    this.#sent++;
  }

  /** How many bytes of the frames the link has taken. */
  get #written(): number {
    return this.#frames.length - this.#unwritten;
  }

  #tryFinish(): void {
    if (this.#finish !== "wanted" || this.#positionsLeft <= 0) return;
    this.#finish = "sent";
    this.#sayFirst();
    this.#pushFin();
  }

  /** How many bytes the frame takes that begins there, and how many positions. */
  #frameAt(at: number): { size: number; positions: number } {
    switch (this.#frames.at(at)) {
      case DATA: {
        const positions = this.#frames.at(at + 1) << 8 | this.#frames.at(at + 2);
        return { size: DATA_HEADER + positions, positions };
      }
      case FIN:
        return { size: 1, positions: 1 };
      case MOVE:
        return { size: 2 + this.#frames.at(at + 1), positions: 0 };
      default:
        return { size: 5, positions: 0 };
    }
  }

  /**
   * Where the frame ends of which the link has taken a part, or takes nothing yet: then that is where it begins. Never before what was
   * said earlier: an ACK must not go before one of less.
   */
  #endOfFrame(): number {
    const { length } = this.#frames;
    while (this.#boundary < this.#written || (this.#boundary < length && this.#isSaidAt(this.#boundary))) {
      this.#boundary += this.#frameAt(this.#boundary).size;
    }
    return this.#boundary;
  }

  /** Whether the frame that begins there is none of the stream. */
  #isSaidAt(at: number): boolean {
    const type = this.#frames.at(at);
    return type !== DATA && type !== FIN;
  }

  /** Drops the frames that are acknowledged whole; what was said between them with them. */
  #forget(): void {
    let at = 0;
    if (this.#acked === this.#sent && this.#unwritten === 0) {
      at = this.#frames.length; // no frame has to be looked at
      this.#base = this.#sent;
    }
    for (const written = this.#written; at < written;) {
      const { size, positions } = this.#frameAt(at);
      if (this.#base + positions > this.#acked || at + size > written) break;
      at += size;
      this.#base += positions;
    }
    this.#frames.drop(at);
    this.#boundary = Math.max(0, this.#boundary - at);
  }

  /** Whether the FIN was sent, and comes after that position. */
  #holdsFin(position: number): boolean {
    return this.#finish === "sent" && position < this.#sent;
  }

  /** The bytes of the stream from a position on, without a FIN. */
  #streamFrom(position: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#sent - position - (this.#holdsFin(position) ? 1 : 0));
    let start = this.#base - position;
    for (let at = 0; at < this.#frames.length;) {
      const { size, positions } = this.#frameAt(at);
      const skipped = Math.max(0, -start);
      if (this.#frames.at(at) === DATA && skipped < positions) {
        this.#frames.read(at + DATA_HEADER + skipped, bytes.subarray(start + skipped, start + positions));
      }
      at += size;
      start += positions;
    }
    return bytes;
  }
}
