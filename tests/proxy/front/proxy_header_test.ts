import assert from "node:assert/strict";
import { decodeProxyHeader } from "../../../lib/proxy/front/proxy_header.ts";

const ascii = (text: string) => new TextEncoder().encode(text);
const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const SIGNATURE = "0d0a0d0a000d0a515549540a";

/** A header of version 2 that is so long in all: the client's addresses, then a TLV, NOOP, of zeros. */
function padded(size: number): Uint8Array {
  const [length, rest] = [size - 16, size - 16 - 12 - 3].map((value) => value.toString(16).padStart(4, "0"));
  const head = hex(`${SIGNATURE} 21 11 ${length} c0000201 0a000001 04d2 01bb 04 ${rest}`);
  return Uint8Array.from({ length: size }, (_, i) => head[i] ?? 0);
}

/** From the examples of the specification, and made by hand after it. */
const GOOD: [name: string, header: Uint8Array, remote: string, local: string][] = [
  ["v1, IPv4", ascii("PROXY TCP4 255.255.255.255 10.0.0.1 65535 443\r\n"), "255.255.255.255 65535", "10.0.0.1 443"],
  ["v1, IPv6", ascii("PROXY TCP6 2001:db8::1 ::1 5 6\r\n"), "2001:db8::1 5", "::1 6"],
  ["v2, IPv4", hex(`${SIGNATURE} 21 11 000c c0000201 0a000001 04d2 01bb`), "192.0.2.1 1234", "10.0.0.1 443"],
  [
    "v2, IPv6, with a TLV",
    hex(
      `${SIGNATURE} 21 21 0028 20010db8000000000000000000000001 00000000000000000000000000000001 04d2 01bb 05 0001 41`,
    ),
    "2001:db8::1 1234",
    "::1 443",
  ],
  ["v2, 1041 bytes", padded(1041), "192.0.2.1 1234", "10.0.0.1 443"],
  ["v2, 2049 bytes", padded(2049), "192.0.2.1 1234", "10.0.0.1 443"],
  ["v2, 4096 bytes", padded(4096), "192.0.2.1 1234", "10.0.0.1 443"],
];

Deno.test("decodeProxyHeader() reads either version, whole, byte by byte and with bytes after it", () => {
  for (const [name, header, remote, local] of GOOD) {
    for (let length = 0; length < header.length; length++) {
      assert.equal(decodeProxyHeader(header.subarray(0, length)), undefined, `${name}, ${length} bytes`);
    }
    for (const more of [0, 1, 100]) {
      const decoded = decodeProxyHeader(Uint8Array.from([...header, ...Array<number>(more).fill(13)]));
      assert.equal(decoded?.size, header.length, name);
      const { client } = decoded!;
      assert.equal(`${client?.remote.hostname} ${client?.remote.port}`, remote, name);
      assert.equal(`${client?.local.hostname} ${client?.local.port}`, local, name);
    }
  }
});

Deno.test("decodeProxyHeader() knows a proxy that speaks for itself", () => {
  for (
    const header of [
      ascii("PROXY UNKNOWN\r\n"),
      ascii("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"),
      hex(`${SIGNATURE} 20 00 0000`),
      hex(`${SIGNATURE} 21 00 0003 aabbcc`),
      hex(`${SIGNATURE} 21 31 0000`),
    ]
  ) assert.deepEqual(decodeProxyHeader(header), { size: header.length });
});

Deno.test("decodeProxyHeader() refuses anything else as soon as it can tell", () => {
  const cases = [
    ascii("0\n"),
    ascii("PROXX"),
    Uint8Array.of(0, 14),
    ascii("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
    ascii("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
    ascii("PROXY TCP4 1.2.3.400 1.2.3.4 1 2\r\n"),
    ascii("PROXY TCP4 ::1 ::1 1 2\r\n"),
    ascii("PROXY TCP9 1.2.3.4 1.2.3.4 1 2\r\n"),
    ascii("PROXY UNKNOWN " + "x".repeat(93)),
    hex(`${SIGNATURE} 31 11 000c`),
  ];
  for (const header of cases) assert.throws(() => decodeProxyHeader(header), /no header of the PROXY protocol/);
});

Deno.test("decodeProxyHeader() says what is wrong with a header of version 2, as soon as it can tell", () => {
  const cases: [header: string, reason: RegExp][] = [
    ["21 11 0ff1", /^a PROXY header of 4097 bytes, where at most 4096 are taken$/],
    ["20 00 ffff", /^a PROXY header of 65551 bytes, where at most 4096 are taken$/],
    ["21 11 0004", /^a PROXY header with 4 bytes of addresses, where its family has 12$/],
    ["21 21 0023", /^a PROXY header with 35 bytes of addresses, where its family has 36$/],
  ];
  for (const [header, message] of cases) {
    assert.throws(() => decodeProxyHeader(hex(`${SIGNATURE} ${header}`)), { message });
  }
});
