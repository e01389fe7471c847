import { isIP } from "node:net";
import { unmapped } from "../../ip.ts";
import type { Endpoint } from "../../link/link.ts";
import { SIGNATURE, TCP4, TCP6 } from "../upstream/proxy_protocol.ts";

/** The longest line of version 1, its line end included. */
const LONGEST_V1 = 107;
/** The most bytes of a header that are taken: of version 2, whose TLVs may be long, as names and certificates are. */
export const LONGEST_HEADER = 4096;
/** Bytes of version 2 before its addresses. */
const V2_FIXED = 16;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;

/** The header that begins a connection from a proxy. */
export interface ProxyHeader {
  /** How many bytes it takes. */
  size: number;
  /** The client's end of its connection, and the proxy's; missing when the proxy speaks for itself. */
  client?: { remote: Endpoint; local: Endpoint };
}

/**
 * Reads a header of HAProxy's PROXY protocol, version 1 or 2. `undefined`: it is not whole yet. Throws an `Error` as soon as
 * it cannot become one.
 */
export function decodeProxyHeader(bytes: Uint8Array): ProxyHeader | undefined {
  if (bytes.length === 0) return undefined;
  const isV2 = SIGNATURE.every((byte, i) => i >= bytes.length || bytes[i] === byte);
  return isV2 ? decodeV2(bytes) : decodeV1(bytes);
}

function decodeV1(bytes: Uint8Array): ProxyHeader | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, LONGEST_V1));
  const end = text.indexOf("\r\n");
  if (!"PROXY ".startsWith(text.slice(0, 6)) || (end < 0 && text.length === LONGEST_V1)) throw malformed();
  if (end < 0) return undefined;
  const size = end + 2;
  const [, family, remoteIp = "", localIp = "", remotePort, localPort] = text.slice(0, end).split(" ");
  if (family === "UNKNOWN") return { size };
  const version = family === "TCP4" ? 4 : family === "TCP6" ? 6 : 0;
  const ports = [remotePort, localPort].map((port) => /^\d{1,5}$/.test(port ?? "") ? Number(port) : NaN);
  const isRight = version !== 0 && isIP(remoteIp) === version && isIP(localIp) === version &&
    ports.every((port) => port <= 65535);
  if (!isRight) throw malformed();
  const [remote, local] = [remoteIp, localIp].map((ip, i) => ({ hostname: unmapped(ip), port: ports[i]! }));
  return { size, client: { remote: remote!, local: local! } };
}

function decodeV2(bytes: Uint8Array): ProxyHeader | undefined {
  if (bytes.length < V2_FIXED) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const command = view.getUint8(12);
  const family = view.getUint8(13);
  if (command !== V2_LOCAL && command !== V2_PROXY) throw malformed();
  const length = view.getUint16(14);
  const size = V2_FIXED + length;
  if (size > LONGEST_HEADER) {
    throw new Error(`a PROXY header of ${size} bytes, where at most ${LONGEST_HEADER} are taken`);
  }
  const tells = command === V2_PROXY && (family === TCP4 || family === TCP6);
  const width = family === TCP4 ? 4 : 16;
  const least = tells ? 2 * width + 4 : 0;
  if (length < least) {
    throw new Error(`a PROXY header with ${length} bytes of addresses, where its family has ${least}`);
  }
  if (bytes.length < size) return undefined;
  if (!tells) return { size };
  const endpoint = (i: number): Endpoint => ({
    hostname: ipOf(bytes.subarray(V2_FIXED + i * width, V2_FIXED + (i + 1) * width)),
    port: view.getUint16(V2_FIXED + 2 * width + 2 * i),
  });
  return { size, client: { remote: endpoint(0), local: endpoint(1) } };
}

/** The text of an address of 4 or 16 bytes. */
function ipOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16));
  // The URL standard writes an IPv6 address in its shortest form.
  return unmapped(new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1));
}

function malformed(): Error {
  return new Error("no header of the PROXY protocol, which accept_proxy wants first");
}
