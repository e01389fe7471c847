import assert from "node:assert/strict";
import type { Address } from "../../../lib/config.ts";
import { LAST_FOR } from "../../../lib/link/addresses.ts";
import { ResolvedHosts } from "../../../lib/proxy/upstream/resolved_hosts.ts";
import { Backend, echo } from "../../helpers/backend.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { RawClient } from "../../helpers/raw_client.ts";
import { silentAt } from "../../helpers/silent.ts";
import { turn } from "../../helpers/turns.ts";

const THREE = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
/** Elsewhere there is but one loopback address. */
const LINUX_ONLY = { ignore: Deno.build.os !== "linux" };

const at = (hostname: string): Address => ({ kind: "tcp", hostname, port: 1 });

/** A proxy whose targets are names that `lookup` knows. */
function proxyOf(
  balance: string,
  { port }: Backend,
  lookup: () => string[],
  now = () => performance.now(),
): TestProxy {
  const keys = { hosts: [{ addr: "builtin:echo" }], upstream_option: { balance, resolv: { port } } };
  return TestProxy.start({ ...keys, shutdown_timeout: "10ms" }, {
    lookup: () => Promise.resolve(lookup()),
    random: () => 0,
    now,
  });
}

/** A session that has its backend, and the address of that. */
async function begin(proxy: TestProxy, target = "game"): Promise<{ client: RawClient; upstream: string }> {
  const client = await RawClient.open(proxy.address, { target });
  while ((await proxy.proxy.session(client.id))?.state === "connecting") await turn();
  return { client, upstream: (await proxy.proxy.session(client.id))!.upstream!.split(":")[0]! };
}

Deno.test(
  "balance round_robin: the addresses of a name have their turns, in whatever order the DNS gives them",
  LINUX_ONLY,
  async () => {
    await using backend = new Backend("0.0.0.0").serve(echo);
    let round = 0;
    await using proxy = proxyOf("round_robin", backend, () => round++ % 2 ? THREE : THREE.toReversed());
    for (let turns = 0; turns < 3; turns++) {
      const seen = new Set<string>();
      for (const _ of THREE) {
        const { client, upstream } = await begin(proxy);
        seen.add(upstream);
        client[Symbol.dispose]();
      }
      assert.deepEqual([...seen].toSorted(), THREE);
    }
  },
);

Deno.test(
  "balance least_conn: a session goes to the address of a name that has the fewest, and an end makes room",
  LINUX_ONLY,
  async () => {
    await using backend = new Backend("0.0.0.0").serve(echo);
    await using proxy = proxyOf("least_conn", backend, () => THREE);
    const begun = [];
    for (let i = 0; i < 9; i++) begun.push(await begin(proxy));
    for (const address of THREE) assert.equal(begun.filter(({ upstream }) => upstream === address).length, 3, address);
    const ended = begun.filter(({ upstream }) => upstream === "127.0.0.2").slice(0, 2);
    for (const { client } of ended) {
      await proxy.proxy.endSession(client.id);
      await client.receiveToEnd();
    }
    for (const _ of ended) {
      const next = await begin(proxy);
      begun.push(next);
      assert.equal(next.upstream, "127.0.0.2");
    }
    for (const { client } of begun) client[Symbol.dispose]();
  },
);

Deno.test(
  "an address of a name that failed is tried last for a while, and is out when it failed too often",
  LINUX_ONLY,
  async () => {
    await using backend = new Backend().serve(echo);
    let now = 0;
    await using proxy = proxyOf("random", backend, () => ["127.0.0.2", "127.0.0.1"], () => now);
    const failures = async () => {
      const { client, upstream } = await begin(proxy);
      assert.equal(upstream, "127.0.0.1");
      client[Symbol.dispose]();
      return proxy.log.of("upstream failed").length;
    };
    for (let i = 1; i <= 5; i++) {
      assert.equal(await failures(), i);
      assert.equal(await failures(), i);
      now += LAST_FOR;
    }
    assert.equal(proxy.log.of("upstream out").length, 1);
  },
);

Deno.test(
  "of the addresses that the DNS gives for a target, one that does not answer is not waited for",
  LINUX_ONLY,
  async () => {
    await using backend = new Backend().serve(echo);
    await using _silent = await silentAt(backend.port);
    await using proxy = proxyOf("least_conn", backend, () => ["127.0.0.2", "127.0.0.1"], () => 0);
    for (let i = 0; i < 3; i++) {
      const { client, upstream } = await begin(proxy);
      assert.equal(upstream, "127.0.0.1");
      client[Symbol.dispose]();
    }
    assert.deepEqual(proxy.log.of("upstream failed"), []);
  },
);

Deno.test(
  "upstream_option.net scp: of the addresses for a target, one that is no SCP server is left for another",
  LINUX_ONLY,
  async () => {
    await using inner = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" });
    const port = Number(inner.address.split(":")[1]);
    await using _closing = new Backend("127.0.0.2", port).serve(() => Promise.resolve());
    const keys = { upstream_option: { net: "scp", resolv: { port } }, shutdown_timeout: "10ms" };
    await using proxy = TestProxy.start(keys, {
      lookup: () => Promise.resolve(["127.0.0.2", "127.0.0.1"]),
      random: () => 0,
    });
    const { client, upstream } = await begin(proxy);
    assert.equal(upstream, "127.0.0.1");
    assert.equal((await proxy.log.nth("upstream failed")).upstream, `127.0.0.2:${port}`);
    client[Symbol.dispose]();
  },
);

Deno.test("ResolvedHosts knows a host again by its name and address, and forgets those that nobody asked for lately", () => {
  const hosts = new ResolvedHosts(3);
  const [a, b] = hosts.at("one", [at("192.0.2.1"), at("192.0.2.2")]);
  assert.equal(hosts.at("one", [at("192.0.2.2")])[0], b);
  assert.notEqual(hosts.at("two", [at("192.0.2.2")])[0], b);
  assert.deepEqual(hosts.at("one", [at("192.0.2.2"), at("192.0.2.1")]), [b, a]);
  const [c] = hosts.at("one", [at("192.0.2.3")]);
  assert.deepEqual(hosts.at("one", [at("192.0.2.1"), at("192.0.2.2"), at("192.0.2.3")]), [a, b, c]);
  assert.deepEqual(hosts.at("one", [at("192.0.2.2"), at("192.0.2.1"), at("192.0.2.2")]), [b, a]);
  // Of more than it remembers it gives all.
  assert.equal(hosts.at("many", Array.from({ length: 5 }, (_, i) => at(`192.0.2.${i}`))).length, 5);
  assert.notEqual(hosts.at("one", [at("192.0.2.1")])[0], a);
});
