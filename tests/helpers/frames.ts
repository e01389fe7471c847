import { concat } from "./bytes.ts";

/** Frames of version 2 as the protocol's table has them, made and read by other means than those of lib/scp. */
export type Frame =
  | { type: "data"; bytes: Uint8Array }
  | { type: "ack" | "ping" | "pong"; number: number }
  | { type: "fin" }
  | { type: "close"; code: number; reason: string }
  | { type: "move"; url: string };

const NUMBERED = { 2: "ack", 3: "ping", 4: "pong" } as const;

function numbered(first: number, number: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(5);
  bytes[0] = first;
  new DataView(bytes.buffer).setUint32(1, Number(BigInt(number) & 0xffffffffn));
  return bytes;
}

function counted(first: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(first, body.length >> 8, body.length & 255, ...body);
}

/** Makes frames. Numbers are taken mod 2^32; texts may be of up to 255 bytes, and may be given as such. */
export const frame = {
  data: (bytes: Uint8Array) => {
    const whole = new Uint8Array(3 + bytes.length);
    whole.set([1, bytes.length >> 8, bytes.length & 255]);
    whole.set(bytes, 3);
    return whole;
  },
  ack: (position: number) => numbered(2, position),
  ping: (number: number) => numbered(3, number),
  pong: (number: number) => numbered(4, number),
  fin: () => Uint8Array.of(5),
  close: (code: number, reason: string | Uint8Array) => {
    const text = typeof reason === "string" ? new TextEncoder().encode(reason) : reason;
    return Uint8Array.of(6, code >> 8, code & 255, text.length, ...text);
  },
  move: (url: string | Uint8Array) => {
    const text = typeof url === "string" ? new TextEncoder().encode(url) : url;
    return Uint8Array.of(7, text.length, ...text);
  },
  other: (first: number, length: number) => counted(first, new Uint8Array(length).fill(1)),
};

/** The frames of `bytes`, all of them whole. Throws when the last is not, or one is none. */
export function framesOf(bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = (at: number, length: number) => {
    if (at + length > bytes.length) throw new RangeError("a text that is not whole");
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at, at + length));
  };
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at]!;
    if (first === 1) {
      const length = view.getUint16(at + 1);
      if (length === 0 || at + 3 + length > bytes.length) {
        throw new RangeError("a DATA that is not whole, or of nothing");
      }
      frames.push({ type: "data", bytes: bytes.slice(at + 3, at + 3 + length) });
      at += 3 + length;
    } else if (first === 2 || first === 3 || first === 4) {
      frames.push({ type: NUMBERED[first], number: view.getUint32(at + 1) });
      at += 5;
    } else if (first === 5) {
      frames.push({ type: "fin" });
      at += 1;
    } else if (first === 6) {
      frames.push({ type: "close", code: view.getUint16(at + 1), reason: text(at + 4, bytes[at + 3]!) });
      at += 4 + bytes[at + 3]!;
    } else if (first === 7) {
      frames.push({ type: "move", url: text(at + 2, bytes[at + 1]!) });
      at += 2 + bytes[at + 1]!;
    } else throw new RangeError(`a frame of type ${first} at ${at}`);
  }
  return frames;
}

/** The bytes of the stream in these frames. */
export function streamOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(framesOf(bytes).flatMap((frame) => frame.type === "data" ? [frame.bytes] : []));
}

/** What the frames are, in few words: `ack 5 data 3 fin`. */
export function summaryOf(bytes: Uint8Array): string {
  return framesOf(bytes).map((frame) => {
    if (frame.type === "data") return `data ${frame.bytes.length}`;
    if ("number" in frame) return `${frame.type} ${frame.number}`;
    if (frame.type === "close") return `close ${frame.code} ${frame.reason}`;
    return frame.type === "move" ? `move ${frame.url}` : frame.type;
  }).join(" ");
}

/** All that `from` gives to a link that takes everything. */
export function allOf(
  from: { readonly wire: Uint8Array<ArrayBuffer>; wrote(count: number): void },
): Uint8Array<ArrayBuffer> {
  const parts: number[] = [];
  for (let bytes = from.wire; bytes.length > 0; bytes = from.wire) {
    for (const byte of bytes) parts.push(byte);
    from.wrote(bytes.length);
  }
  return Uint8Array.from(parts);
}

export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}
