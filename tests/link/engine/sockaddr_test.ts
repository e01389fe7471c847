import assert from "node:assert/strict";
import { decodeEndpoint, encodeAddress } from "../../../lib/link/engine/sockaddr.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { toHex } from "../../helpers/vectors.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const encode = (hostname: string, port = 443) => encodeAddress({ kind: "tcp", hostname, port }, System.open());

/** Made by Python's socket module: what the system writes for a socket that is bound there. */
const IPV4 = "020001bb7f00000100000000000000 00".replaceAll(" ", "");
const IPV6 = "0a0001bb00000000" + "20010db8000000000000000000000001" + "00000000";

Deno.test("addresses are laid out as the system has them, on a machine of least byte first", LINUX, () => {
  assert.equal(toHex(encode("127.0.0.1")), IPV4);
  assert.equal(toHex(encode("2001:db8::1")), IPV6);
  assert.equal(toHex(encode("2001:0DB8:0:0::0:1")), IPV6);
  assert.equal(toHex(encode("::", 65535)), "0a00ffff00000000" + "0".repeat(40));
  assert.equal(toHex(encode("::ffff:192.0.2.1")), "0a0001bb00000000" + "00000000000000000000ffffc0000201" + "00000000");
  assert.equal(toHex(encode("fe80::1%7").slice(24)), "07000000");
  assert.equal(toHex(encode("fe80::1%lo").slice(24)), "01000000");
  assert.equal(toHex(encodeAddress({ kind: "unix", path: "/a" }, System.open())), "01002f6100");
});

Deno.test("addresses are read as they were written, in their one spelling", LINUX, () => {
  for (
    const [written, read] of [
      ["192.0.2.1", "192.0.2.1"],
      ["255.255.255.255", "255.255.255.255"],
      ["::", "::"],
      ["::1", "::1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["2001:DB8::", "2001:db8::"],
      ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["fe80::1%lo", "fe80::1"],
    ] as const
  ) {
    assert.deepEqual(decodeEndpoint(encode(written, 1)), { hostname: read, port: 1 });
  }
});

Deno.test("what is no address is refused, and not taken for another one", LINUX, () => {
  for (
    const hostname of [
      "1..2.3",
      "1.2.3",
      "1.2.3.",
      "1.2.3.4.5",
      "1.2.3.256",
      "1.2.3.0x4",
      "",
      "host",
      ":::",
      "::1]:80/[::",
      "1:2",
    ]
  ) {
    assert.throws(() => encode(hostname), /is no IP address/, hostname);
  }
  assert.throws(() => encode("fe80::1%nosuch"), /there is no network interface "nosuch"/);
  assert.throws(() => encodeAddress({ kind: "unix", path: "/a\0b" }, System.open()), /null byte/);
  assert.throws(() => encodeAddress({ kind: "unix", path: "/" + "a".repeat(107) }, System.open()), /at most 107 bytes/);
  assert.equal(encodeAddress({ kind: "unix", path: "/" + "a".repeat(106) }, System.open()).length, 110);
});
