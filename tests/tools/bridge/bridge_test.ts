import assert from "node:assert/strict";
import { formatEndpoint, writeAll } from "../../../lib/link/link.ts";
import { Backend, echo, readExactly } from "../../helpers/backend.ts";
import { proxyOf, sendAll, TestBridge } from "../../helpers/bridge.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { CuttingLink, dialer } from "../../helpers/cutting_link.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { scripted } from "../../helpers/scripted.ts";
import { stalled } from "../../helpers/turns.ts";

/** What holds in both versions of the protocol alike. */
const VERSIONS = [1, 2] as const;

for (const version of VERSIONS) {
  Deno.test(`every byte comes, both ways and in both dialects, over links that are cut again and again: version ${version}`, async () => {
    const [random, length] = [new Random(), 500_000];
    await using backend = new Backend();
    const hosts = [{ name: "one", addr: backend.address }];
    const scp = { reuse_buffer: "4MiB" };
    await using proxy = TestProxy.start({ hosts, scp, shutdown_timeout: "10ms" });
    const buried: (() => void)[] = [];
    for (const [connect, dialect] of [[proxy.address, "goscon"], [proxy.plainAddress, "plain"]] as const) {
      const session = () => {
        const { dial, bury } = dialer({ address: connect, cutWithin: 200_000, abandon: 0.4, random: random.fork() });
        buried.push(bury);
        return { dial, random: () => 0 };
      };
      await using bridge = new TestBridge(connect, { version, dialect, target: "one", session });
      const near = await bridge.open();
      const far = await backend.accept();
      const [up, down] = await Promise.all([
        readExactly(far, length),
        readExactly(near, length),
        sendAll(near, length, 1),
        sendAll(far, length, 2),
      ]);
      const note = `GOSCON_SEED=${random.seed} shows this again`;
      assertSameBytes(up, pattern(0, length, 1), note);
      assertSameBytes(down, pattern(0, length, 2), note);
      const { id, client, ...begun } = await bridge.log.nth("bridge session begun");
      assert.equal(begun.version, version);
      const [lost, resumed] = [bridge.log.of("bridge session lost"), bridge.log.of("bridge session resumed")];
      assert(lost.length > 1 && resumed.length > 1, "it was not cut");
      assert.deepEqual([lost[0]!.id, lost[0]!.client, client], [id, formatEndpoint(near.local), lost[0]!.client]);
      assert.equal((await proxy.log.nth("session new")).target, "one");
      near.close();
    }
    for (const bury of buried) bury();
  });
}

Deno.test("a session that is refused, or that no proxy begins, resets the local connection, and the log says why", async () => {
  const cases: [connect: Backend | string, reason: RegExp][] = [
    [scripted("0\n400"), /refused a new session/],
    [scripted(), /closed in the handshake/],
    ["127.0.0.1:1", /refused/],
  ];
  for (const [proxy, reason] of cases) {
    await using bridge = new TestBridge(typeof proxy === "string" ? proxy : proxy.address);
    const near = await bridge.open();
    await assert.rejects(near.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    near.close();
    const failed = await bridge.log.nth("bridge session failed");
    assert.match(String(failed.reason), reason);
    assert.equal(failed.client, formatEndpoint(near.local));
    if (typeof proxy !== "string") await proxy[Symbol.asyncDispose]();
  }
});

Deno.test("many connections are carried at once, each as a session of its own", async () => {
  const count = 100;
  await using backend = new Backend().serve(echo);
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  const near = await Promise.all(Array.from({ length: count }, () => bridge.open()));
  await Promise.all(near.map((link, i) => writeAll(link, pattern(0, 5000, i))));
  for (const [i, link] of near.entries()) assertSameBytes(await readExactly(link, 5000), pattern(0, 5000, i));
  assert.equal(await proxy.size(), count);
  assert.equal(new Set(bridge.log.of("bridge session begun").map(({ id }) => id)).size, count);
  for (const link of near) link.close();
});

for (const version of VERSIONS) {
  Deno.test(`an end that stalls holds the other up, either way; then every byte comes, though the link is cut meanwhile: version ${version}`, async () => {
    const length = (version === 1 ? 64 : 24) * 2 ** 20;
    await using backend = new Backend();
    const scp = { reuse_buffer: "16MiB" };
    await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], scp, shutdown_timeout: "10ms" });
    // Abandoned when cut: the old connection stays open, and full.
    const links: CuttingLink[] = [];
    const dial = async () => links[links.push(new CuttingLink(await tcp(proxy.address), 2 ** 40, true)) - 1]!;
    await using bridge = new TestBridge(proxy.address, {
      version,
      session: () => ({ dial, random: () => 0 }),
    });
    using near = await bridge.open();
    const far = await backend.accept();
    for (const [from, to] of [[near, far], [far, near]] as const) {
      let written = 0;
      const writing = (async () => {
        for (; written < length; written += 2 ** 15) await writeAll(from, pattern(written, 2 ** 15));
      })();
      await stalled(() => written, 5000);
      assert(written < length, "the writer was not held up");
      links.at(-1)!.close();
      // The other way the bridge, which does not read meanwhile, sees the cut later.
      if (from === near) await bridge.log.nth("bridge session resumed");
      assertSameBytes(await readExactly(to, length), pattern(0, length));
      await writing;
    }
    // Version 2 never has more under way than the other end holds.
    const { resent } = bridge.log.of("bridge session resumed")[0]!;
    assert(version === 2 || Number(resent) > 2 ** 16, "nothing was under way");
    for (const link of links) link.bury();
  });
}

for (const version of VERSIONS) {
  Deno.test(`stop() ends sessions at whatever step they are, and the address is free again: version ${version}`, async () => {
    await using backend = new Backend();
    await using proxy = proxyOf(backend);
    await using silent = new Backend();
    for (const connect of [proxy.address, silent.address]) {
      const bridge = new TestBridge(connect, { version });
      const near = await bridge.open();
      await (connect === proxy.address ? bridge.log.nth("bridge session begun") : silent.accept());
      await Promise.all([bridge.bridge.stop(), bridge.bridge.stop()]);
      await assert.rejects(near.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
      near.close();
      assert.equal(bridge.log.events.at(-1)!.reason, "the bridge was stopped");
      await using _next = new TestBridge(connect, { listen: bridge.bridge.address });
      assert.throws(() => new TestBridge(connect, { listen: bridge.bridge.address }), /^Error: Cannot listen on 127/);
    }
  });
}

Deno.test("startBridge() refuses what is no address of a proxy", () => {
  assert.throws(() => new TestBridge("nowhere"), /expected host:port/);
  assert.throws(() => new TestBridge("builtin:echo"), /it is not an address/);
  assert.throws(() => new TestBridge("ws://a:1"), /its scheme is none of tcp: tls: unix:/);
});
