import { Kcp, type KcpStart } from "../../lib/link/kcp/machine/kcp.ts";
import type { KcpOptions } from "../../lib/link/kcp/machine/options.ts";

export const CONV = 0x11223344;

/** The settings of goscon, with windows that tests can fill. */
export const OPTIONS: KcpOptions = {
  mtu: 1400,
  interval: 10,
  nodelay: true,
  resend: 2,
  congestion: false,
  sendWindow: 64,
  receiveWindow: 64,
  sendBytes: 1 << 20,
  receiveBytes: 1 << 20,
};

export const COMMANDS = { push: 81, ack: 82, ask: 83, tell: 84 } as const;

/** A segment as a test writes it and reads it, without the code that is tested. */
export interface Segment {
  conv: number;
  command: keyof typeof COMMANDS;
  fragments: number;
  window: number;
  ts: number;
  sn: number;
  una: number;
  data: string;
}

export type Wanted = Partial<Segment> & Pick<Segment, "command">;

/** Bytes as text, and back: one character each. */
export const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
export const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** A datagram of these segments; what is not named is 0, but a window of 64. */
export function datagramOf(...segments: Wanted[]): Uint8Array<ArrayBuffer> {
  const parts = segments.map((segment) => {
    const { conv = CONV, command, fragments = 0, window = 64, ts = 0, sn = 0, una = 0, data = "" } = segment;
    const bytes = new Uint8Array(24 + data.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, conv, true);
    bytes[4] = COMMANDS[command];
    bytes[5] = fragments;
    view.setUint16(6, window, true);
    for (const [i, value] of [ts, sn, una, data.length].entries()) view.setUint32(8 + 4 * i, value, true);
    bytes.set(bytesOf(data), 24);
    return bytes;
  });
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** The segments of a datagram, which must be whole. */
export function segmentsOf(datagram: Uint8Array): Segment[] {
  const segments: Segment[] = [];
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  for (let at = 0; at < datagram.length;) {
    const [conv, ts, sn, una, length] = [0, 8, 12, 16, 20].map((offset) => view.getUint32(at + offset, true)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const command = Object.entries(COMMANDS).find(([, value]) => value === datagram[at + 4])![0] as Segment["command"];
    const window = view.getUint16(at + 6, true);
    if (at + 24 + length > datagram.length) throw new Error("a segment is longer than its datagram");
    const data = textOf(datagram.subarray(at + 24, at + 24 + length));
    segments.push({ conv, command, fragments: datagram[at + 5]!, window, ts, sn, una, data });
    at += 24 + length;
  }
  return segments;
}

/** A machine in the hands of a test. Its clock is `now`, and its ts begin at 0. */
export class KcpStage {
  kcp: Kcp;
  now = 0;

  constructor(options: Partial<KcpOptions> = {}, start: Partial<KcpStart> = {}) {
    this.kcp = new Kcp(CONV, { ...OPTIONS, ...options }, { epoch: 0, ...start });
  }

  /** These come in one datagram. */
  input(...segments: Wanted[]): void {
    this.#input(segments, true);
  }

  /** The same in a datagram that was rebuilt from others. */
  rebuilt(...segments: Wanted[]): void {
    this.#input(segments, false);
  }

  send(text: string): number {
    return this.kcp.send(bytesOf(text));
  }

  /** Sends and flushes each of these as a segment of its own: sn 0, 1, ... */
  sendEach(...texts: string[]): void {
    for (const text of texts) {
      this.send(text);
      this.flush();
    }
  }

  /** The datagrams that a flush gives now. */
  datagrams(): Segment[][] {
    const datagrams: Segment[][] = [];
    this.kcp.flush(this.now, (datagram) => datagrams.push(segmentsOf(datagram)));
    return datagrams;
  }

  /** All segments that a flush gives now. */
  flush(): Segment[] {
    return this.datagrams().flat();
  }

  /** The sn of the PUSHes that a flush gives now. */
  pushed(): number[] {
    return this.flush().filter(({ command }) => command === "push").map(({ sn }) => sn);
  }

  /** Lets so many milliseconds pass. */
  pass(ms: number): this {
    this.now += ms;
    return this;
  }

  /** All that can be received. */
  received(): string {
    let text = "";
    for (let bytes; (bytes = this.kcp.receive());) text += textOf(bytes);
    return text;
  }

  #input(segments: Wanted[], isRegular: boolean): void {
    const verdict = this.kcp.input(datagramOf(...segments), this.now, isRegular);
    if (verdict !== "ok") throw new Error(verdict);
  }
}
