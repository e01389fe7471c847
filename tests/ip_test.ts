import assert from "node:assert/strict";
import { unmapped } from "../lib/ip.ts";

Deno.test("unmapped() gives the IPv4 address that an IPv6 one stands for, in either form, and no other", () => {
  const cases = [
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::FFFF:192.0.2.7", "192.0.2.7"],
    ["::ffff:c000:207", "192.0.2.7"],
    ["::ffff:FF:1", "0.255.0.1"],
    ["::ffff:0:0", "0.0.0.0"],
    ["192.0.2.7", "192.0.2.7"],
    ["::1", "::1"],
    ["::c000:207", "::c000:207"],
    ["64:ff9b::c000:207", "64:ff9b::c000:207"],
    ["2001:db8::ffff:c000:207", "2001:db8::ffff:c000:207"],
    ["::ffff:1:c000:207", "::ffff:1:c000:207"],
  ] as const;
  for (const [address, expected] of cases) assert.equal(unmapped(address), expected, address);
});
