import { isIPv4, isIPv6 } from "node:net";
import type { SocketAddress } from "../dial.ts";
import { unmapped } from "../../ip.ts";
import type { Endpoint } from "../link.ts";
import { AF_INET, AF_INET6, AF_UNIX, type System } from "./system.ts";

/** The longest address of a kind that there is here. */
export const LONGEST_ADDRESS = 128;
/** Where the path of a Unix socket begins, and how long it may be. */
const PATH_AT = 2;
const LONGEST_PATH = 107;

/** An address as the system takes it: a `struct sockaddr`. Throws when it is no IP address, or a path that is too long. */
export function encodeAddress(address: SocketAddress, system: System): Uint8Array<ArrayBuffer> {
  if (address.kind === "unix") return encodePath(address.path);
  const { hostname, port } = address;
  return hostname.includes(":") ? encodeIpv6(hostname, port, system) : encodeIpv4(hostname, port);
}

/** The family of an encoded address. */
export function familyOf(address: Uint8Array): number {
  return address[0]! | address[1]! << 8;
}

/** The IP address and port that the system wrote; an IPv4 address in IPv6's form is what it is. Of other families, nothing in particular. */
export function decodeEndpoint(bytes: Uint8Array<ArrayBuffer>): Endpoint {
  const port = bytes[2]! << 8 | bytes[3]!;
  if (familyOf(bytes) === AF_INET) return { hostname: `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`, port };
  if (familyOf(bytes) !== AF_INET6) return { hostname: "", port: 0 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(8 + 2 * i).toString(16));
  // In its one spelling.
  const hostname = new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
  return { hostname: unmapped(hostname), port };
}

function encodeIpv4(hostname: string, port: number): Uint8Array<ArrayBuffer> {
  if (!isIPv4(hostname)) throw notIp(hostname);
  const bytes = new Uint8Array(16);
  bytes[0] = AF_INET;
  bytes[2] = port >> 8;
  bytes[3] = port;
  bytes.set(hostname.split(".").map(Number), 4);
  return bytes;
}

function encodeIpv6(hostname: string, port: number, system: System): Uint8Array<ArrayBuffer> {
  const [ip, scope = ""] = hostname.split("%") as [string, string?];
  if (!isIPv6(ip)) throw notIp(hostname);
  const [head = "", tail] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail ? tail.split(":") : [];
  const middle = Array(8 - first.length - last.length).fill("0");
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, true);
  view.setUint16(2, port);
  [...first, ...middle, ...last].forEach((group, i) => view.setUint16(8 + 2 * i, parseInt(group, 16)));
  view.setUint32(24, /^\d*$/.test(scope) ? Number(scope) : interfaceNumber(scope, system), true);
  return bytes;
}

function interfaceNumber(name: string, system: System): number {
  const number = system.interfaceNumber(name);
  if (number === 0) throw new Error(`there is no network interface ${JSON.stringify(name)}`);
  return number;
}

function encodePath(path: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(path);
  // The system would take it for the end of the path.
  if (text.includes(0)) throw new Error(`Cannot use ${JSON.stringify(path)}: it has a null byte`);
  if (text.length > LONGEST_PATH) {
    throw new Error(`Cannot use ${path}: the path of a Unix socket has at most ${LONGEST_PATH} bytes`);
  }
  const bytes = new Uint8Array(PATH_AT + text.length + 1);
  bytes[0] = AF_UNIX;
  bytes.set(text, PATH_AT);
  return bytes;
}

function notIp(hostname: string): Error {
  return new Error(`${JSON.stringify(hostname)} is no IP address`);
}
