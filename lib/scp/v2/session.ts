import { ScpError } from "../error.ts";
import type { Dialect } from "../message.ts";
import { Rc4, rc4Key, type Rc4State } from "../rc4.ts";
import { FrameReader, type FrameReaderSnapshot, type FrameSink } from "./frame.ts";
import { type Consumer, Incoming, type IncomingSnapshot } from "./incoming.ts";
import { Outgoing, type OutgoingSnapshot } from "./outgoing.ts";

/** What one end of a new session of version 2 starts from. */
export interface AckedSessionOptions {
  /** 1 to 2^32-1. */
  id: number;
  /** That of version 1, which the dialect takes. */
  secret: bigint;
  dialect: Dialect;
  /** The most bytes of frames that are kept to be sent again. */
  cacheSize: number;
  /** The most bytes that wait for the consumer at this end, and at the other. */
  window: number;
  peerWindow: number;
}

/**
 * All that one end of a session is, as plain data: what goes on from it is the same session, over another link by `attach`, or over
 * the same one, in the middle of whatever is under way. It has its secret.
 */
export interface AckedSessionSnapshot extends Omit<AckedSessionOptions, "secret"> {
  /** In decimal. */
  secret: string;
  index: number;
  pings: number;
  reader: FrameReaderSnapshot;
  outgoing: OutgoingSnapshot;
  incoming: IncomingSnapshot;
  /** Of what goes out, and of what comes in; `undefined` where nothing is ciphered. */
  ciphers: [Rc4State, Rc4State] | undefined;
}

/**
 * One end of a session of version 2, the proxy's or the client's: what it sends, what it has received, and what a resume needs. It
 * knows no connection, no clock and no key: bytes in, bytes out (protocol: Version 2: Frames, Version 2: Flow).
 *
 * Positions in the streams are absolute, from 0; only the wire takes them mod 2^32. The end of a stream takes one, too.
 */
export class AckedSession implements FrameSink {
  readonly version = 2;
  readonly id: number;
  readonly dialect: Dialect;
  readonly #secret: bigint;
  #outgoing: Outgoing;
  #incoming: Incoming;
  #reader = new FrameReader();
  #outgoingCipher: Rc4 | undefined;
  #incomingCipher: Rc4 | undefined;
  #index = 0;
  #pings = 0;
  #closed: { code: number; reason: string } | undefined;
  #moved: string | undefined;

  constructor({ id, secret, dialect, cacheSize, window, peerWindow }: AckedSessionOptions) {
    this.#secret = secret;
    this.id = id;
    this.dialect = dialect;
    this.#outgoing = new Outgoing(cacheSize, peerWindow);
    this.#incoming = new Incoming(window);
    if (dialect === "goscon") [this.#outgoingCipher, this.#incomingCipher] = Rc4.pair(rc4Key(secret));
  }

  /** The session that was written down. Copies what it takes. */
  static restore(snapshot: AckedSessionSnapshot): AckedSession {
    const session = new AckedSession({ ...snapshot, secret: BigInt(snapshot.secret) });
    session.#outgoing = Outgoing.restore(snapshot.cacheSize, snapshot.peerWindow, snapshot.outgoing);
    session.#incoming = Incoming.restore(snapshot.window, snapshot.incoming);
    session.#reader = FrameReader.restore(snapshot.reader);
    session.#index = snapshot.index;
    session.#pings = snapshot.pings;
    if (!snapshot.ciphers) return session;
    const [outgoing, incoming] = snapshot.ciphers.map(({ state, i, j }) => Rc4.restore({ state: state.slice(), i, j }));
    session.#outgoingCipher = outgoing;
    session.#incomingCipher = incoming;
    return session;
  }

  /** Writes the session down, which goes on. Not when either end has said that it is over. */
  get snapshot(): AckedSessionSnapshot {
    return {
      id: this.id,
      secret: String(this.#secret),
      dialect: this.dialect,
      cacheSize: this.#outgoing.cacheSize,
      window: this.#incoming.window,
      peerWindow: this.#outgoing.peerWindow,
      index: this.#index,
      pings: this.#pings,
      reader: this.#reader.snapshot,
      outgoing: this.#outgoing.snapshot,
      incoming: this.#incoming.snapshot,
      ciphers: this.#outgoingCipher && this.#incomingCipher &&
        [this.#outgoingCipher.state, this.#incomingCipher.state],
    };
  }

  /** Bytes of the streams, received and sent: without their ends. */
  get bytes(): { received: number; sent: number } {
    const { received, isFinished } = this.#incoming;
    return { received: isFinished ? received - 1 : received, sent: this.#outgoing.bytes };
  }

  /** The position after the last one that was sent, or is to be. */
  get sent(): number {
    return this.#outgoing.sent;
  }

  /** The position up to which the peer has consumed what was sent. */
  get acked(): number {
    return this.#outgoing.acked;
  }

  /** The position after the last one that was received. */
  get received(): number {
    return this.#incoming.received;
  }

  /** The position up to which the consumer at this end has taken that. */
  get consumed(): number {
    return this.#incoming.consumed;
  }

  /** How many bytes of the stream may be sent now. */
  get room(): number {
    return this.#outgoing.room;
  }

  /** Whether the peer has consumed all of this end's direction, which is over; and this end all of the peer's. */
  get isSentDone(): boolean {
    return this.#outgoing.isDone;
  }

  get isReceivedDone(): boolean {
    return this.#incoming.isDone;
  }

  /** Whether nothing waits for the consumer any more but the end: see `consumeEnd`. */
  get isAtEnd(): boolean {
    return this.#incoming.isAtEnd;
  }

  /** What the peer has ended the session with, if it has. */
  get closed(): { code: number; reason: string } | undefined {
    return this.#closed;
  }

  /** Bytes that were received and wait for the consumer. */
  get waiting(): number {
    return this.#incoming.waiting;
  }

  /** Whether there is something for the link at once: also a FIN that an ACK has made room for, and what the link did not take yet. */
  get isDue(): boolean {
    return this.#incoming.isAckDue || !this.#outgoing.isEmpty;
  }

  /** Whether an ACK would say something new. */
  get owesAck(): boolean {
    return this.#incoming.owesAck;
  }

  /** Bytes of memory of what may have to be sent again, and of what waits for the consumer. */
  get cacheInUse(): number {
    return this.#outgoing.allocated;
  }

  get windowInUse(): number {
    return this.#incoming.allocated;
  }

  /**
   * Reads what the link brings, in place: each byte of the stream goes to `consumer`, or waits, and answers are made ready. See `isAtEnd`,
   * `closed` and `takeMove` then. Throws `FrameError` when the peer breaks the protocol.
   */
  receive(bytes: Uint8Array<ArrayBuffer>, consumer: Consumer): void {
    const fresh = this.#reader.read(bytes, this);
    if (fresh.length === 0) return;
    this.#incomingCipher?.xor(fresh);
    this.#incoming.deliver(fresh, consumer);
  }

  /** Gives what waits to `consumer`, which may take more now. */
  drain(consumer: Consumer): void {
    this.#incoming.drain(consumer);
  }

  /** The consumer has taken the end. */
  consumeEnd(): void {
    this.#incoming.consumeEnd();
  }

  /** Sends the next bytes of the stream, no more than there is room for: ciphers them in place, and copies them. */
  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#outgoingCipher?.xor(bytes);
    if (this.#incoming.owesAck) this.#outgoing.sayAck(this.#incoming.sayAck());
    this.#outgoing.send(bytes);
  }

  /** Ends this end's direction, after what was sent: as soon as there is room for that. */
  finish(): void {
    this.#outgoing.finish();
  }

  /** Says something: an ACK, also when it says nothing new; a PING; that the client is to move; that the session is over. */
  sayAck(): void {
    this.#incoming.wantAck();
  }

  sayPing(): void {
    this.#outgoing.sayPing(++this.#pings);
  }

  /** `url`: at most 255 bytes of UTF-8. */
  sayMove(url: string): void {
    this.#outgoing.sayMove(url);
  }

  sayClose(code: number, reason: string): void {
    this.#outgoing.sayClose(code, reason);
  }

  /** What the link is to be given next, as much as lies together: a view that holds until the next call; none: there is nothing. */
  get wire(): Uint8Array<ArrayBuffer> {
    const { isAckDue, owesAck } = this.#incoming;
    if (isAckDue || (owesAck && this.#outgoing.hasSomethingToSay)) this.#outgoing.sayAck(this.#incoming.sayAck());
    return this.#outgoing.wire;
  }

  /** The link has taken so many bytes of `wire`. */
  wrote(count: number): void {
    this.#outgoing.wrote(count);
  }

  /** Before all else the link is given these bytes, which were written to it and not sent: see `AckedSessionSnapshot`. */
  writeAgain(bytes: Uint8Array): void {
    this.#outgoing.writeAgain(bytes);
  }

  /**
   * Goes on over a link, whose peer has received up to a position, see `assertPosition`: `first` goes before all else, then an ACK, and
   * what it lacks is sent again.
   */
  attach(received: number, first: Uint8Array<ArrayBuffer>): void {
    this.#reader.reset();
    this.#outgoing.attach(received, first, this.#incoming.consumed > 0 ? this.#incoming.sayAck() : undefined);
  }

  /** The last index that was used. */
  get index(): number {
    return this.#index;
  }

  /** The next index of a resume of this end, the client's: each is used once. */
  nextIndex(): number {
    return ++this.#index;
  }

  /** No request with that index, or one before, is taken any more. Throws `ScpError` 403, and has changed nothing, when it was used. */
  useIndex(index: number): void {
    if (index <= this.#index) throw new ScpError(403, `index ${index} is not greater than ${this.#index}`);
    this.#index = index;
  }

  /**
   * Throws `ScpError` unless the session can go on with a peer that has received up to a position: 403 when the peer has said that
   * it has more, so the request is stale; 406 when so much was never sent.
   */
  assertPosition(received: number): void {
    const { oldest, sent } = this.#outgoing;
    if (received < oldest) throw new ScpError(403, `the peer has ${received}, and said before that it has ${oldest}`);
    if (received > sent) throw new ScpError(406, `the peer has ${received}, of ${sent} that were sent`);
  }

  /** The URL that the peer wants this end to move to, if so; once. */
  takeMove(): string | undefined {
    const moved = this.#moved;
    this.#moved = undefined;
    return moved;
  }

  /** Gives back memory that is not needed: to be called now and then. */
  trim(): void {
    this.#outgoing.trim();
    this.#incoming.trim();
  }

  onData(count: number, before: number): void {
    this.#incoming.expect(count, before);
  }

  onFin(before: number): void {
    this.#incoming.finish(before);
  }

  onAck(position: number): void {
    this.#outgoing.acknowledged(position);
  }

  onPing(number: number): void {
    this.#outgoing.sayPong(number);
  }

  onPong(): void {}

  onClose(code: number, reason: string): void {
    this.#closed = { code, reason };
  }

  onMove(url: string): void {
    this.#moved = url;
  }
}
