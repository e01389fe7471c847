import { ScpError } from "./error.ts";
import { hashkey } from "./hashkey.ts";
import { type Hmac, hmac64, hmac64Md5, isEqual64 } from "./hmac64.ts";
import { type Dialect, type ResumeRequest, resumeText } from "./message.ts";
import { Rc4, rc4Key, type Rc4State } from "./rc4.ts";
import { ResendCache } from "./resend_cache.ts";

const TWO_TO_32 = 2 ** 32;

/** What both ends of a new session start from. */
export interface SessionOptions {
  /** 1 to 2^32-1. */
  id: number;
  secret: bigint;
  dialect: Dialect;
  /** The most bytes of the resend cache, at least 1. */
  cacheSize: number;
}

/** All that one end of a session is, as plain data: what goes on from it is the same session. It has its secret. */
export interface SessionSnapshot extends Omit<SessionOptions, "secret"> {
  /** In decimal. */
  secret: string;
  received: number;
  sent: number;
  index: number;
  /** The last bytes that were sent. */
  cache: Uint8Array;
  /** Of what goes out, and of what comes in; `undefined` where nothing is ciphered. */
  ciphers: [Rc4State, Rc4State] | undefined;
}

/**
 * One end of a session, the proxy's or the client's: how the stream is laid on the wire, what has gone each way, and
 * what a resume needs. It knows no connection: it outlives all of them.
 *
 * The stream of each direction is counted in absolute positions from 0; only the wire takes them mod 2^32.
 */
export class Session {
  readonly version = 1;
  readonly id: number;
  readonly dialect: Dialect;
  readonly #secret: bigint;
  #cache: ResendCache;
  #outgoing: Rc4 | undefined;
  #incoming: Rc4 | undefined;
  #received = 0;
  #index = 0;

  constructor({ id, secret, dialect, cacheSize }: SessionOptions) {
    this.id = id;
    this.dialect = dialect;
    this.#secret = secret;
    this.#cache = new ResendCache(cacheSize);
    if (dialect === "goscon") {
      [this.#outgoing, this.#incoming] = Rc4.pair(rc4Key(secret));
    }
  }

  /** The session that was written down. Copies what it takes. */
  static restore(snapshot: SessionSnapshot): Session {
    const session = new Session({ ...snapshot, secret: BigInt(snapshot.secret) });
    session.#received = snapshot.received;
    session.#index = snapshot.index;
    session.#cache = ResendCache.restore(snapshot.cacheSize, snapshot.cache, snapshot.sent);
    if (!snapshot.ciphers) return session;
    const [outgoing, incoming] = snapshot.ciphers.map(({ state, i, j }) => Rc4.restore({ state: state.slice(), i, j }));
    session.#outgoing = outgoing;
    session.#incoming = incoming;
    return session;
  }

  /** Writes the session down, which goes on. */
  get snapshot(): SessionSnapshot {
    return {
      id: this.id,
      secret: String(this.#secret),
      dialect: this.dialect,
      cacheSize: this.#cache.capacity,
      received: this.#received,
      sent: this.sent,
      index: this.#index,
      cache: this.#cache.bytes,
      ciphers: this.#outgoing && this.#incoming && [this.#outgoing.state, this.#incoming.state],
    };
  }

  /** Bytes of the stream sealed so far: sent, or to be sent again. */
  get sent(): number {
    return this.#cache.end;
  }

  /** Bytes of the stream opened so far. */
  get received(): number {
    return this.#received;
  }

  /** `received` as it goes over the wire. */
  get receivedOnWire(): number {
    return this.#received % TWO_TO_32;
  }

  /** Bytes of memory that the resend cache holds. */
  get cacheInUse(): number {
    return this.#cache.allocated;
  }

  /** Keeps only the last `count` bytes of what was sealed to be sent again. */
  shrinkCache(count: number): void {
    this.#cache.shrink(count);
  }

  /** Gives the memory of the resend cache back: nothing that was sealed so far can be sent again. */
  releaseCache(): void {
    this.#cache.release();
  }

  /** The session has ended: gives its memory back. It can only say how much has gone each way, and who may ask. */
  retire(): void {
    this.#cache.release();
    this.#outgoing = this.#incoming = undefined;
  }

  /**
   * Turns the next bytes of the stream into what goes over the wire, in place, counts them and caches them. They count
   * as sent whatever becomes of the write. More bytes at once than the cache holds could not all be sent again.
   */
  seal(bytes: Uint8Array): void {
    this.#outgoing?.xor(bytes);
    this.#cache.append(bytes);
  }

  /** Turns the next bytes of the wire into the stream's, in place, and counts them as received. */
  open(bytes: Uint8Array): void {
    this.#incoming?.xor(bytes);
    this.#received += bytes.length;
  }

  /** The next resume request of this end, the client's. Its index is used up. `hmac`: what authorises it. */
  nextResume(hmac: Hmac = hmac64Md5): ResumeRequest {
    const lines = { id: this.id, index: ++this.#index, received: this.receivedOnWire };
    return { kind: "resume", ...lines, hmac: hmac(hashOf(lines), this.#secret) };
  }

  /**
   * Checks a request to resume this session, of which this is the proxy's end. Throws `ScpError` 401 or 403, and then
   * nothing has changed. Else its index is used up, and it is time to take the old connection away.
   */
  authorize(request: ResumeRequest): void {
    const hash = hashOf(request);
    const current = isEqual64(hmac64Md5(hash, this.#secret), request.hmac);
    const former = isEqual64(hmac64(hash, this.#secret), request.hmac);
    if (!current && !former) throw new ScpError(401, "the hmac is wrong");
    if (request.index <= this.#index) {
      throw new ScpError(403, `index ${request.index} is not greater than ${this.#index}`);
    }
    this.#index = request.index;
  }

  /**
   * The position in the stream from which a peer lacks it that has `received` bytes, mod 2^32. Throws `ScpError` 406 when the
   * cache does not reach back so far, or so much was never sent.
   */
  positionOf(received: number): number {
    // Negative when less than that was ever sent: the position is then beyond the end, and refused too.
    const position = this.sent - (this.sent - received) % TWO_TO_32;
    if (this.#cache.holds(position)) return position;
    throw new ScpError(
      406,
      `the peer has ${received} bytes of ${this.sent} (mod 2^32), and the cache begins at ${this.#cache.start}`,
    );
  }

  /** What is to be sent again to such a peer: views that hold until the next `seal`. Throws as `positionOf`. */
  missing(received: number): Uint8Array<ArrayBuffer>[] {
    const views: Uint8Array<ArrayBuffer>[] = [];
    for (let at = this.positionOf(received); at < this.sent; at += views.at(-1)!.length) {
      views.push(this.sealedFrom(at));
    }
    return views;
  }

  /** Sealed bytes from a position on that the cache holds: some of them, in one view, which holds until the next `seal`; none at the end. */
  sealedFrom(position: number): Uint8Array<ArrayBuffer> {
    return this.#cache.from(position);
  }
}

function hashOf(request: Omit<ResumeRequest, "kind" | "hmac">): bigint {
  return hashkey(new TextEncoder().encode(resumeText(request)));
}
