import type { Flow } from "./flow.ts";
import { decodeRecord, MAX_RECORD } from "../scp/record.ts";

/**
 * One connection: what the data plane needs of a transport. A link has one reader and one writer at a time; the owner
 * of a buffer gets it back when the promise settles.
 */
export interface Link {
  /** Reads at least one byte into `buffer`: how many; `null` at the end of the stream. Rejects when the link broke. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of `bytes`: how many. Rejects when the link broke. */
  write(bytes: Uint8Array): Promise<number>;
  /** Tells the other end that nothing more will be written. Rejects when the link broke. */
  closeWrite(): Promise<void>;
  /** Closes both ways at once, and interrupts what is pending. May be called again. */
  close(): void;
  /** As `close`, so that the other end can tell that from an end, where that can be had; missing: it cannot. */
  reset?(): void;
  /** What carries it and knows what the other end's system has acknowledged, where there is such a thing. */
  readonly carriedBy?: Pick<Flow, "unacknowledged" | "silence"> | undefined;
}

/** An IP address, without brackets, and a port. */
export interface Endpoint {
  hostname: string;
  port: number;
}

/** A link that was accepted from a client. */
export interface ClientLink extends Link {
  /** The client; as the other end says, when that is a proxy which is trusted to say so. */
  remote: Endpoint;
  /** Where it connected to. */
  local: Endpoint;
  /** Settles when such a proxy has said who the client is; missing where it says so otherwise. Rejects when the link broke. */
  ready?(): Promise<unknown>;
  /**
   * Where anybody could have written its address: writes the answer to the request of a new session, before which nothing is to be
   * done that costs anything, and settles when the client has shown that it got it. Rejects when it did not. Missing: it is proven.
   */
  prove?(answer: Uint8Array<ArrayBuffer>): Promise<void>;
  /** The same, where another writes the answer: to be called before that. Missing: another knows. */
  proven?(): Promise<void>;
  /** Whether it has shown that; missing: it is proven. */
  readonly isProven?: boolean;
  /** Sends no pings of its own any more, if it does: what goes over it has its own. */
  stopPings?(): void;
  /** Who carries it to here: another process. Missing: it is the client's own. */
  via?: Via;
}

/** By what a client is connected. */
export type Transport = "tcp" | "tls" | "ws" | "wss" | "kcp";

/** Another process to which a client is connected, and which of its connections that is. */
export interface Via {
  /** Its name. */
  instance: string;
  thread: number;
  number: number;
  /** By what the client is connected to it. */
  transport: Transport;
  /** The most bytes that may be on their way between here and the client, beside what the system here knows of. */
  between: number;
}

/** `host:port`, IPv6 in brackets. */
export function formatEndpoint({ hostname, port }: Endpoint): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Writes all of `bytes`. Rejects when the link broke, and it is not known then how many were taken. */
export async function writeAll(link: Link, bytes: Uint8Array): Promise<void> {
  let taken = await link.write(bytes);
  while (taken < bytes.length) taken += await link.write(bytes.subarray(taken));
}

/**
 * Reads the one record that a handshake begins with: its content, and the `rest`, bytes of the stream that came with
 * it. `before`: bytes that were read already. `undefined`: the link ended, or broke off, before the record was whole.
 * Throws `ScpError` 400 as soon as the record is too long.
 */
export async function readRecord(
  link: Link,
  before?: Uint8Array,
): Promise<{ content: string; rest: Uint8Array } | undefined> {
  const read = await readDecoded(link, decodeRecord, { before });
  return read && { content: read.value.content, rest: read.rest };
}

/**
 * Reads until `decode` makes something of what has come, which it says the `size` of: that, and the `rest`, bytes that
 * came after it. `undefined`: the link ended before. What `decode` throws is thrown; it must throw before it would want
 * more than `most` bytes. `before`: bytes that were read already.
 */
export async function readDecoded<T extends { size: number }>(
  link: Link,
  decode: (bytes: Uint8Array) => T | undefined,
  { before = new Uint8Array(0), most = 2 * MAX_RECORD }: { before?: Uint8Array | undefined; most?: number } = {},
): Promise<{ value: T; rest: Uint8Array } | undefined> {
  // As most handshakes are short, so is the buffer at first.
  let buffer = new Uint8Array(Math.min(before.length + FIRST_READ, before.length + most));
  buffer.set(before);
  for (let filled = before.length;;) {
    const value = decode(buffer.subarray(0, filled));
    if (value) return { value, rest: buffer.subarray(value.size, filled) };
    // Reading into no room at all would go on for ever.
    if (filled === before.length + most) throw new Error(`Cannot decode what came: ${filled} bytes are not enough`);
    if (filled === buffer.length) {
      const larger = new Uint8Array(Math.min(4 * buffer.length, before.length + most));
      larger.set(buffer);
      buffer = larger;
    }
    const n = await link.read(buffer.subarray(filled));
    if (n === null) return undefined;
    filled += n;
  }
}

/** Bytes that are asked for at first. */
const FIRST_READ = 256;

/** How long a lingering close lasts at the most, in milliseconds; nginx's `lingering_timeout`. */
export const LINGER = 5000;

/**
 * Closes a link so that what was written arrives: ends our direction, then takes and forgets what still comes until
 * the other end closes, or `LINGER` is over. Closing with bytes unread would reset the connection, and the reset can
 * overtake what was written. Never rejects.
 */
export async function lingeringClose(link: Link): Promise<void> {
  const deadline = setTimeout(() => link.close(), LINGER);
  try {
    await link.closeWrite();
    const scratch = new Uint8Array(1024);
    while (await link.read(scratch) !== null);
  } catch {
    // It broke: there is nobody left to linger for.
  } finally {
    clearTimeout(deadline);
    link.close();
  }
}

/** The text of whatever was thrown, for a log line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
