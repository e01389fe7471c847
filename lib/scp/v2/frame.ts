/** The frames of version 2 (protocol: Version 2: Frames). */

export const DATA = 1;
export const ACK = 2;
export const PING = 3;
export const PONG = 4;
export const FIN = 5;
export const CLOSE = 6;
export const MOVE = 7;
/** From here on frames are skipped by who does not know them. */
const SKIPPED = 128;

/** Bytes of the header of a DATA. */
export const DATA_HEADER = 3;
/** The most bytes of the stream in a DATA that is sent: what is to be said meanwhile waits for no more than that. */
export const MOST_DATA = 16 * 1024;
/** The longest text of a frame, in bytes. */
const LONGEST_TEXT = 255;

/** What comes and is no frame, or not one that may come: the session ends with `END.protocol`. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/**
 * How many bytes a frame takes whose first ones are `bytes`, from `at` on: as far as that can be told, so it is more than `available`
 * when it is not whole. Of a DATA, and of one that is skipped, it is the header's. Throws `FrameError`.
 */
export function frameSize(bytes: ArrayLike<number>, at: number, available: number): number {
  const type = bytes[at]!;
  switch (type) {
    case DATA:
      return DATA_HEADER;
    case ACK:
    case PING:
    case PONG:
      return 5;
    case FIN:
      return 1;
    case CLOSE:
      return available < 4 ? 4 : 4 + bytes[at + 3]!;
    case MOVE:
      return available < 2 ? 2 : 2 + bytes[at + 1]!;
  }
  if (type >= SKIPPED) return DATA_HEADER;
  throw new FrameError(`a frame of type ${type}, which is none`);
}

/** What hears of frames. What it throws ends the reading. */
export interface FrameSink {
  /** The header of a DATA came: of so many bytes, with so many before it that `read` gives too. */
  onData(count: number, before: number): void;
  onFin(before: number): void;
  onAck(position: number): void;
  onPing(number: number): void;
  onPong(number: number): void;
  onClose(code: number, reason: string): void;
  onMove(url: string): void;
}

/** Where in a frame its reader is, as plain data. */
export interface FrameReaderSnapshot {
  left: number;
  skip: number;
  begun: number[];
}

/** Reads frames in whatever pieces they come. */
export class FrameReader {
  /** Bytes to come of the DATA, or of the frame that is skipped, whose header was read last. */
  #left = 0;
  #skip = 0;
  /** The first bytes of a frame that is not whole. */
  #begun: number[] = NONE;
  #isOver = false;

  /** The reader that was written down: the next bytes are those that it would have read. */
  static restore({ left, skip, begun }: FrameReaderSnapshot): FrameReader {
    const reader = new FrameReader();
    [reader.#left, reader.#skip, reader.#begun] = [left, skip, [...begun]];
    return reader;
  }

  /** Not of one that has read a CLOSE. */
  get snapshot(): FrameReaderSnapshot {
    return { left: this.#left, skip: this.#skip, begun: [...this.#begun] };
  }

  /** The next bytes are the first of a link. */
  reset(): void {
    this.#left = this.#skip = 0;
    this.#begun = NONE;
  }

  /**
   * Reads the next bytes, and moves those of the stream together: gives these, where the first of them lay. After a CLOSE there is
   * nothing. Throws `FrameError`, and what the sink throws.
   */
  read(bytes: Uint8Array<ArrayBuffer>, sink: FrameSink): Uint8Array<ArrayBuffer> {
    let start = 0;
    let kept = 0;
    for (let at = 0; at < bytes.length && !this.#isOver;) {
      const available = bytes.length - at;
      if (this.#left > 0) {
        const n = Math.min(this.#left, available);
        if (kept === 0) start = at;
        else bytes.copyWithin(start + kept, at, at + n);
        this.#left -= n;
        kept += n;
        at += n;
      } else if (this.#skip > 0) {
        const n = Math.min(this.#skip, available);
        this.#skip -= n;
        at += n;
      } else if (this.#begun.length > 0) {
        this.#begun.push(bytes[at++]!);
        if (frameSize(this.#begun, 0, this.#begun.length) > this.#begun.length) continue;
        const begun = this.#begun;
        this.#begun = NONE;
        this.#tell(begun, 0, kept, sink);
      } else {
        const size = frameSize(bytes, at, available);
        if (size > available) {
          this.#begun = [...bytes.subarray(at)];
          break;
        }
        this.#tell(bytes, at, kept, sink);
        at += size;
      }
    }
    return kept === 0 ? NO_BYTES : bytes.subarray(start, start + kept);
  }

  #tell(bytes: ArrayLike<number>, at: number, kept: number, sink: FrameSink): void {
    switch (bytes[at]) {
      case DATA:
        this.#left = u16(bytes, at + 1);
        if (this.#left === 0) throw new FrameError("a DATA of no bytes");
        return sink.onData(this.#left, kept);
      case ACK:
        return sink.onAck(u32(bytes, at + 1));
      case PING:
        return sink.onPing(u32(bytes, at + 1));
      case PONG:
        return sink.onPong(u32(bytes, at + 1));
      case FIN:
        return sink.onFin(kept);
      case CLOSE:
        this.#isOver = true;
        return sink.onClose(u16(bytes, at + 1), text(bytes, at + 4, bytes[at + 3]!));
      case MOVE:
        return sink.onMove(text(bytes, at + 2, bytes[at + 1]!));
      default:
        this.#skip = u16(bytes, at + 1);
    }
  }
}

const NONE: number[] = [];
const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0);

function u16(bytes: ArrayLike<number>, at: number): number {
  return bytes[at]! << 8 | bytes[at + 1]!;
}

function u32(bytes: ArrayLike<number>, at: number): number {
  return u16(bytes, at) * 2 ** 16 + u16(bytes, at + 2);
}

function text(bytes: ArrayLike<number>, at: number, length: number): string {
  return new TextDecoder().decode(Uint8Array.from({ length }, (_, i) => bytes[at + i]!));
}

/** Bytes that hold an ACK, a PONG, a PING, a MOVE and a CLOSE. */
export const MOST_SAID = 3 * 5 + 2 + LONGEST_TEXT + 4 + LONGEST_TEXT;

/** Writes an ACK, PING or PONG there, and gives where it ends. The number is taken mod 2^32. */
export function writeNumber(
  bytes: Uint8Array,
  at: number,
  type: typeof ACK | typeof PING | typeof PONG,
  number: number,
): number {
  const high = Math.floor(number / 2 ** 16);
  bytes[at] = type;
  bytes[at + 1] = high >> 8;
  bytes[at + 2] = high;
  bytes[at + 3] = number >> 8;
  bytes[at + 4] = number;
  return at + 5;
}

/** Writes a CLOSE there, and gives where it ends. A reason that is too long is cut. */
export function writeClose(bytes: Uint8Array, at: number, code: number, reason: string): number {
  bytes[at] = CLOSE;
  bytes[at + 1] = code >> 8;
  bytes[at + 2] = code;
  return writeText(bytes, at + 3, reason);
}

/** Writes a MOVE there, and gives where it ends. `url`: at most 255 bytes. */
export function writeMove(bytes: Uint8Array, at: number, url: string): number {
  bytes[at] = MOVE;
  return writeText(bytes, at + 1, url);
}

/** A length, and so many bytes of UTF-8. */
function writeText(bytes: Uint8Array, at: number, text: string): number {
  const { written } = new TextEncoder().encodeInto(text, bytes.subarray(at + 1, at + 1 + LONGEST_TEXT));
  bytes[at] = written;
  return at + 1 + written;
}
