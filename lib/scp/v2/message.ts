import { formatBase64, parseBase64 } from "../base64.ts";
import { ScpError } from "../error.ts";

/** The lines that version 2 adds to the records of the handshake (protocol: Version 2: Negotiation, Version 2: Resume). */

/** Bit 1 of the flag of a request: its fifth line is an offer. */
export const FLAG_VERSION_2 = 2;

export const LEAST_WINDOW = 4096;
export const LARGEST_WINDOW = 16 * 2 ** 20;

/** Milliseconds. */
const LONGEST_TIME = 2 ** 31 - 1;

/** What a client says that offers version 2. */
export interface Offer {
  /** A point of P-256, uncompressed: 65 bytes. Whether it is one is for who computes with it. */
  key: Uint8Array<ArrayBuffer>;
  /** Bytes that this end can hold while its consumer takes nothing. */
  window: number;
}

/** What a server says that takes the offer. */
export interface Terms extends Offer {
  /** Milliseconds; 0: it sends no PING. */
  ping: number;
  /** Milliseconds that a session without a client is kept. */
  reuse: number;
}

/** How much was received, or how a session ended; and the HMAC that says so: 32 bytes. */
export interface Proof {
  value: number;
  mac: Uint8Array<ArrayBuffer>;
}

/**
 * The offer of a request for a new session, of which `flag` is the flag; `undefined`: there is none. Throws `ScpError` 400.
 */
export function parseOffer(content: string, flag: number): Offer | undefined {
  const line = content.split("\n")[4];
  if ((flag & FLAG_VERSION_2) === 0 || line === undefined) return undefined;
  const [key, window] = fieldsOf(line);
  return { key: parseKey(key), window: parseWindow(window) };
}

/** The terms in the answer to a request with an offer; `undefined`: there are none, so it is version 1. Throws `ScpError` 400. */
export function parseTerms(content: string): Terms | undefined {
  const line = content.split("\n")[2];
  if (line === undefined) return undefined;
  const [key, window, ping, reuse] = fieldsOf(line);
  return {
    key: parseKey(key),
    window: parseWindow(window),
    ping: parseNumber(ping, "ping interval", LONGEST_TIME),
    reuse: parseNumber(reuse, "reuse_time", LONGEST_TIME),
  };
}

/** Whether a resume request is one of version 2. */
export function hasProof(content: string): boolean {
  return content.split("\n")[4]?.startsWith("2 ") ?? false;
}

/** The fifth line of a resume request, which must be there. Throws `ScpError` 401 or 400. `received`: what its third says. */
export function parseResumeProof(content: string, received: number): Proof {
  const line = content.split("\n")[4];
  if (line === undefined) throw new ScpError(401, "a request of version 1, for a session of version 2");
  const proof = parseProof(line);
  if (proof.value % 2 ** 32 === received) return proof;
  throw new ScpError(400, `the received of its third line is ${received}, and that of its fifth ${proof.value}`);
}

/** The third line of the answer to a resume request; `undefined`: there is none. Throws `ScpError` 400. */
export function parseAnswerProof(content: string): Proof | undefined {
  const line = content.split("\n")[2];
  return line === undefined ? undefined : parseProof(line);
}

export function formatOffer({ key, window }: Offer): string {
  return `2 ${formatBase64(key)} ${window}`;
}

export function formatTerms({ key, window, ping, reuse }: Terms): string {
  return `2 ${formatBase64(key)} ${window} ${ping} ${reuse}`;
}

export function formatProof({ value, mac }: Proof): string {
  return `2 ${value} ${formatBase64(mac)}`;
}

function parseProof(line: string): Proof {
  const [value, mac] = fieldsOf(line);
  return { value: parseNumber(value, "number", Number.MAX_SAFE_INTEGER), mac: parseBase64(mac, 32, "HMAC") };
}

/** Those after the version, as many as there are. */
function fieldsOf(line: string): (string | undefined)[] {
  const [version, ...fields] = line.split(" ");
  if (version !== "2") throw new ScpError(400, "the line of version 2 does not begin with 2");
  return fields;
}

function parseNumber(text: string | undefined, what: string, most: number): number {
  const value = Number(text);
  if (/^(0|[1-9]\d*)$/.test(text ?? "") && value <= most) return value;
  throw new ScpError(400, `the ${what} is not a decimal number of at most ${most}`);
}

function parseWindow(text: string | undefined): number {
  const window = parseNumber(text, "window", LARGEST_WINDOW);
  if (window < LEAST_WINDOW) throw new ScpError(400, `the window is less than ${LEAST_WINDOW}`);
  return window;
}

function parseKey(text: string | undefined): Uint8Array<ArrayBuffer> {
  const key = parseBase64(text, 65, "key");
  if (key[0] !== 4) throw new ScpError(400, "the key is not an uncompressed point of P-256");
  return key;
}
