import assert from "node:assert/strict";
import type { DatagramPeer } from "../../../../lib/link/engine/udp/datagrams.ts";
import { hashOf } from "../../../../lib/link/engine/udp/key_hash.ts";
import { PeerMap } from "../../../../lib/link/engine/udp/peer_map.ts";
import { leftBehind } from "../../../helpers/left_behind.ts";
import { Random } from "../../../../lib/random.ts";

const ADDRESS = { hostname: "10.0.0.1", port: 1 };
const peerOf = (key: string): DatagramPeer => ({ key, remote: ADDRESS, local: ADDRESS });

/** As those of the C library's sockets: 20 characters, most of which are the same. */
const keyOf = (address: number) =>
  `\u0002\u1234${String.fromCharCode(address & 0xffff, address >>> 16)}${"\u0000".repeat(16)}`;

for (
  const [how, hash] of [
    ["by chance", hashOf],
    ["all alike", () => 7],
    ["some alike", (key: string) => key.length],
  ] as const
) {
  Deno.test(`PeerMap has what a Map of the keys has, hashed ${how}`, () => {
    const random = new Random(20261130);
    const [map, expected] = [new PeerMap<number>(hash), new Map<string, number>()];
    for (let i = 0; i < 3000; i++) {
      const key = "k".repeat(random.int(1, 4)) + random.int(0, 9);
      if (random.int(0, 2) === 0) {
        map.delete(peerOf(key));
        expected.delete(key);
      } else {
        map.set(peerOf(key), i);
        expected.set(key, i);
      }
      const other = "k".repeat(random.int(1, 4)) + random.int(0, 9);
      assert.equal(map.get(peerOf(other)), expected.get(other));
      assert.equal(map.size, expected.size);
      assert.deepEqual([...map.values()].toSorted(), [...expected.values()].toSorted());
    }
  });
}

Deno.test("to ask a PeerMap for peers that there are not leaves no memory behind", () => {
  const map = new PeerMap<number>();
  map.set(peerOf(keyOf(0)), 1);
  const left = leftBehind((round) => {
    for (let i = 1; i <= 5000; i++) assert.equal(map.get(peerOf(keyOf(5000 * round + i))), undefined);
  });
  assert(left < 100_000, `${left} bytes are left of 5,000 peers`);
});

Deno.test("hashOf() tells keys apart that differ in little, and spreads them", () => {
  const random = new Random(20261130);
  const [keys, hashes, halves] = [new Set<string>(), new Set<number>(), new Set<number>()];
  while (keys.size < 50_000) keys.add(keyOf(random.int(0, 2 ** 32 - 1)));
  for (const key of keys) {
    hashes.add(hashOf(key));
    halves.add(hashOf(key) & 0xffff);
  }
  // By chance there is a pair once in four times, and 34,968 of the lower halves are different ones.
  assert(hashes.size >= 49_990, `${hashes.size} hashes`);
  assert(halves.size > 20_000, `${halves.size} lower halves`);
});
