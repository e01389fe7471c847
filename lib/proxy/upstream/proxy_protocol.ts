import type { Endpoint } from "../../link/link.ts";

export const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
/** Version 2, commands LOCAL and PROXY. */
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const UNSPEC = 0x00;
export const TCP4 = 0x11;
export const TCP6 = 0x21;
/** PP2_TYPE_UNIQUE_ID: bytes that name the connection, in logs most of all. */
const UNIQUE_ID = 0x05;

const isV6 = ({ hostname }: Endpoint): boolean => hostname.includes(":");

/** The line that begins a connection in version 1 of HAProxy's PROXY protocol. Both ends are of one family. */
export function proxyV1(remote: Endpoint, local: Endpoint): Uint8Array<ArrayBuffer> {
  const family = isV6(remote) ? "TCP6" : "TCP4";
  const line = `PROXY ${family} ${remote.hostname} ${local.hostname} ${remote.port} ${local.port}\r\n`;
  return new TextEncoder().encode(line);
}

/** The line of version 1 that tells nothing. */
export function proxyV1Unknown(): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode("PROXY UNKNOWN\r\n");
}

/**
 * The header that begins a connection in version 2 of HAProxy's PROXY protocol, with `uniqueId`, of at most 128 bytes, as
 * the unique id. Both ends are of one family.
 */
export function proxyV2(remote: Endpoint, local: Endpoint, uniqueId: string): Uint8Array<ArrayBuffer> {
  const v6 = isV6(remote);
  const id = [...new TextEncoder().encode(uniqueId)];
  const body = [
    ...[remote, local].flatMap(({ hostname }) => v6 ? bytesOfV6(hostname) : bytesOfV4(hostname)),
    ...[remote, local].flatMap(({ port }) => u16(port)),
    ...[UNIQUE_ID, ...u16(id.length), ...id],
  ];
  return Uint8Array.from([...SIGNATURE, V2_PROXY, v6 ? TCP6 : TCP4, ...u16(body.length), ...body]);
}

/** The header of version 2 that tells nothing. */
export function proxyV2Local(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...SIGNATURE, V2_LOCAL, UNSPEC, ...u16(0)]);
}

function u16(value: number): number[] {
  return [value >> 8, value & 255];
}

function bytesOfV4(address: string): number[] {
  return address.split(".").map(Number);
}

/** The 16 bytes of an IPv6 address in any of its forms; a zone is left out. */
function bytesOfV6(address: string): number[] {
  const [head, tail] = address.replace(/%.*$/, "").split("::").map((part) =>
    part.split(":").filter((group) => group !== "").flatMap((group) =>
      group.includes(".") ? bytesOfV4(group) : u16(parseInt(group, 16))
    )
  );
  if (!tail) return head!;
  return [...head!, ...Array<number>(16 - head!.length - tail.length).fill(0), ...tail];
}
