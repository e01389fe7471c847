import assert from "node:assert/strict";
import { writeAll } from "../../../../lib/link/link.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, readExactly } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { kcp } from "../../../helpers/kcp_client.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { turn } from "../../../helpers/turns.ts";
import { openOver, resumeOver, resumeWithBytesUnderWay, tcp } from "../../../helpers/raw_client.ts";

const KEYS = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };
const BOTH = [{ kcp: "127.0.0.1:0" }, { tcp: "127.0.0.1:0" }];

for (const dialect of ["goscon", "plain"] as const) {
  const listen = BOTH.map((each) => ({ ...each, dialect }));

  Deno.test(`sessions of both versions go over KCP in dialect ${dialect}, and resume there`, async () => {
    await using proxy = TestProxy.start({ ...KEYS, listen });
    using second = await AckedClient.open(proxy.address, { dial: kcp, dialect });
    using first = await openOver(await kcp(proxy.address), { dialect });
    for (const seed of [1, 2]) {
      for (const client of [first, second]) {
        const bytes = pattern(seed, 300_000);
        const [, got] = await Promise.all([client.send(bytes), client.receive(300_000)]);
        assertSameBytes(got, bytes);
      }
      if (seed === 2) break;
      (await resumeOver(first, await kcp(proxy.address))).close();
      await second.resume();
    }
    assert.deepEqual((await proxy.gauges()).versions, { 1: 1, 2: 1 });
  });

  Deno.test(`a session goes from TCP to KCP and back in dialect ${dialect}, in version 1 with bytes under way`, async () => {
    await using backend = new Backend();
    await using proxy = TestProxy.start({ ...KEYS, hosts: [{ addr: backend.address }], listen });
    const [udp, other] = [proxy.address, proxy.plainAddress];
    using client = await openOver(await tcp(other), { dialect });
    const far = await backend.accept();
    const ways = [() => kcp(udp), () => kcp(udp), () => tcp(other), () => kcp(udp), () => tcp(other)];
    await resumeWithBytesUnderWay(client, far, ways);
    assert.equal(await proxy.size(), 1);
  });

  Deno.test(`a session goes from TCP to KCP and back in dialect ${dialect}, in version 2`, async () => {
    await using proxy = TestProxy.start({ ...KEYS, listen });
    const dials = [() => kcp(proxy.address), () => tcp(proxy.plainAddress)];
    using client = await AckedClient.open(proxy.address, { dial: dials[1]!, dialect });
    for (let round = 0; round < 4; round++) {
      client.dial = dials[round % 2]!;
      await client.send(pattern(round, 50_000));
      await client.resume();
      assertSameBytes(await client.receive(50_000), pattern(round, 50_000));
    }
    assert.equal(await proxy.size(), 1);
  });
}

Deno.test("a listener with FEC takes clients that have the same, and clients without", async () => {
  const listen = [{ kcp: "127.0.0.1:0", fec: { data: 3, parity: 1 } }];
  await using proxy = TestProxy.start({ ...KEYS, listen });
  for (const fec of [[3, 1], undefined] as const) {
    using client = await openOver(await kcp(proxy.address, fec && [...fec]));
    await client.send(pattern(1, 20_000));
    assertSameBytes(await client.receive(20_000), pattern(1, 20_000));
  }
  await using without = TestProxy.start({ ...KEYS, listen: BOTH });
  const link = await kcp(without.address, [3, 1]);
  await writeAll(link, pattern(1, 10));
  const { local, fec, last } = await without.log.nth("datagrams dropped");
  assert.deepEqual([local, fec], [without.address, 1]);
  assert.match(String(last), /^127\.0\.0\.1:\d+$/);
  link.close();
});

Deno.test("a client that says nothing for read_timeout is lost, and can resume", async () => {
  await using backend = new Backend();
  const listen = [{ kcp: "127.0.0.1:0", read_timeout: "1ms" }];
  await using proxy = TestProxy.start({ ...KEYS, hosts: [{ addr: backend.address }], listen });
  using client = await openOver(await kcp(proxy.address));
  const far = await backend.accept();
  assert.match(String((await proxy.log.nth("session lost")).reason), /nothing came for 1 ms \(read_timeout\)/);
  (await resumeOver(client, await kcp(proxy.address))).close();
  await client.send(pattern(1, 100));
  assertSameBytes(await readExactly(far, 100), pattern(1, 100));
});

Deno.test("what goes over KCP is counted", async () => {
  await using proxy = TestProxy.start({ ...KEYS, listen: BOTH });
  using client = await AckedClient.open(proxy.address, { dial: kcp });
  await client.send(pattern(1, 100_000));
  await client.receive(100_000);
  const { kcp: { segments }, accepts, closes } = await proxy.stats();
  // A segment has 1,376 bytes at the most.
  assert(segments.in >= 73 && segments.out >= 73, JSON.stringify(segments));
  const { conversations, unproven } = (await proxy.gauges()).kcp;
  const expected = { accepts: 1, closes: 0, conversations: 1, unproven: 0 };
  assert.deepEqual({ accepts, closes, conversations, unproven }, expected);
  // An ACK that goes with what was to be sent anyway may take no time.
  while ((await proxy.gauges()).kcp.measured === 0) {
    await client.send(pattern(2, 1));
    await client.receive(1);
  }
  await proxy.proxy.endSession(client.id);
  while ((await proxy.gauges()).kcp.conversations > 0) await turn();
  assert.equal((await proxy.stats()).closes, 1);
});
