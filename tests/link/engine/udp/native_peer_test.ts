import assert from "node:assert/strict";
import { encodeAddress } from "../../../../lib/link/engine/sockaddr.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import { HEAD, LOCAL, type NativePeer, Peers, REMOTE, wordsOf } from "../../../../lib/link/engine/udp/native_peer.ts";
// Opens the C library, which stays open.
import { NATIVE } from "../../../helpers/engine.ts";
import { Random } from "../../../../lib/random.ts";

const LINUX = { ignore: NATIVE.length === 0 };
const SOCKET = { hostname: "0.0.0.0", port: 4321 };

function words(hostname: string, port: number, local?: string): Int32Array<ArrayBuffer> {
  const peer = wordsOf(encodeAddress({ kind: "tcp", hostname, port }, System.open()));
  if (local) {
    peer.set(wordsOf(encodeAddress({ kind: "tcp", hostname: local, port: 0 }, System.open())).subarray(1, 5), LOCAL);
  }
  return peer;
}

const IPV4 = NATIVE.length === 0 ? new Int32Array() : words("10.1.2.3", 1);

/** The words of an IPv4 peer. */
function forge(address: number, port: number): Int32Array<ArrayBuffer> {
  const forged = IPV4.slice();
  forged[HEAD] = IPV4[HEAD]! & 0xffff | port << 16;
  forged[REMOTE] = address;
  return forged;
}

Deno.test("a peer is told by its addresses, whatever the family", LINUX, () => {
  const peers = new Peers(SOCKET);
  for (
    const [remote, local, shown = remote, shownLocal = local] of [
      ["10.1.2.3", "192.168.255.254"],
      ["2001:db8::1", "fe80::2"],
      ["::ffff:10.1.2.3", "::ffff:10.9.8.7", "10.1.2.3", "10.9.8.7"],
    ] as const
  ) {
    const peer = peers.of(words(remote, 54321, local));
    assert.deepEqual(peer.remote, { hostname: shown, port: 54321 });
    assert.deepEqual(peer.local, { hostname: shownLocal, port: 4321 });
  }
  assert.deepEqual(peers.of(words("10.1.2.3", 1)).local, SOCKET);
});

Deno.test("a peer has its key for ever, and is the same object when it is kept", LINUX, () => {
  const peers = new Peers(SOCKET);
  const random = new Random(20260701);
  const forged = Array.from({ length: 50_000 }, () => forge(random.int(0, 2 ** 32 - 1), random.int(1, 65535)));
  const scratch = words("10.1.2.3", 5);
  const first = peers.of(scratch);
  scratch[REMOTE]!++; // it has a copy
  peers.keep(first);
  const before = forged.map((of) => peers.of(of));
  assert.equal(peers.of(words("10.1.2.3", 5)), first, "it was forgotten for one that nobody wanted kept");
  const again = forged.map((of) => peers.of(of));
  assert.deepEqual(again.map(({ key }) => key), before.map(({ key }) => key));
  assert.equal(new Set(before.map(({ key }) => key)).size, new Set(forged.map(String)).size);
});

Deno.test("not more than so many peers are kept", LINUX, () => {
  const peers = new Peers(SOCKET);
  const kept = new Set<NativePeer>();
  const some = Array.from({ length: 50_000 }, (_, i) => forge(10 + i * 2 ** 16, 1 + i % 60_000));
  for (const of of some) {
    const peer = peers.of(of);
    peers.keep(peer);
    kept.add(peer);
  }
  let found = 0;
  for (const of of some.toReversed()) if (kept.has(peers.of(of))) found++;
  assert(found > 4000, `${found} were found again: neighbours crowd each other out`);
  assert(found <= 8192, `${found} were kept`);
});
