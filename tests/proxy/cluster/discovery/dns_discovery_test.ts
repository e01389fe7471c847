import assert from "node:assert/strict";
import type { Found } from "../../../../lib/proxy/cluster/discovery/discovery.ts";
import { DnsDiscovery } from "../../../../lib/proxy/cluster/discovery/dns_discovery.ts";
import { StateDir } from "../../../../lib/proxy/cluster/discovery/state_dir.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { TestLog } from "../../../helpers/proxy.ts";
import { turn } from "../../../helpers/turns.ts";

const SERVICE = "goscon.game.svc";
const failure = (code: string) => Object.assign(new Error(`lookup failed: ${code}`), { code });

interface Options {
  hostname?: string;
  role?: "node" | "edge";
  slots?: number;
}

/** A discovery, the DNS it asks, and its time, which stands still. `zone`: the addresses of names, or what a look-up fails with. */
async function stage({ hostname = "goscon-0", role = "node", slots = 64 }: Options = {}) {
  const time = stillTime();
  const zone: Record<string, string[] | Error> = {};
  const asked: string[] = [];
  const told: (readonly Found[])[] = [];
  const log = new TestLog();
  const discovery = new DnsDiscovery({
    role,
    service: SERVICE,
    port: 1250,
    slots,
    hostname,
    keep: 30_000,
    lookup: (name) => {
      asked.push(name);
      const answer = zone[name] ?? failure("ENOTFOUND");
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    now: () => performance.now(),
    log,
    state: await StateDir.open(undefined, log),
    random: () => 0,
  });
  return {
    discovery,
    zone,
    asked,
    log,
    /** The addresses that were told, by slot, each time. */
    get told() {
      return told.map((found) => Object.fromEntries(found.map(({ slot, addr }) => [slot, addr.hostname])));
    },
    watch: async (known?: Found[]) => {
      discovery.watch((found) => told.push(found), known);
      await turn();
    },
    /** So many looks at the service later. */
    later: async (looks: number) => {
      for (let i = 0; i < looks; i++) {
        time.pass(5000);
        await turn();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await discovery.close();
      time[Symbol.dispose]();
    },
  };
}

/** The DNS has these nodes, by slot. */
function serve(zone: Record<string, string[] | Error>, nodes: Record<number, string>): void {
  for (const name of Object.keys(zone)) delete zone[name];
  zone[SERVICE] = Object.values(nodes);
  for (const [slot, ip] of Object.entries(nodes)) zone[`goscon-${slot}.${SERVICE}`] = [ip];
}

const claimant = { instance: "a", addr: { hostname: "10.0.0.1", port: 1250 }, remembered: new Map([[12, 6]]) };

Deno.test("DnsDiscovery takes the number at the end of the host's name for its slot", async () => {
  for (const hostname of ["goscon-12", "my-goscon-12", "goscon-12.goscon.game.svc"]) {
    await using at = await stage({ hostname });
    assert.deepEqual(await at.discovery.claim(claimant), { slot: 12, epoch: 7 });
  }
});

Deno.test("DnsDiscovery refuses a host whose name has no slot at its end, and says which name and what it should be", async () => {
  for (
    const hostname of ["goscon", "goscon-", "goscon-x", "goscon-007", "goscon12", "goscon.game-12", "goscon-64", ""]
  ) {
    await using at = await stage({ hostname });
    await assert.rejects(at.discovery.claim(claimant), (error: Error) => {
      assert.match(error.message, /as in NAME-3, below 64/);
      assert(error.message.includes(JSON.stringify(hostname)));
      return true;
    });
  }
});

Deno.test("DnsDiscovery finds the node of each slot by its name, over gaps, and asks no further than the last one", async () => {
  await using at = await stage();
  serve(at.zone, { 0: "10.0.0.1", 2: "10.0.0.3", 21: "10.0.0.22" });
  await at.watch();
  assert.deepEqual(at.told, [{ 0: "10.0.0.1", 2: "10.0.0.3", 21: "10.0.0.22" }]);
  assert(at.asked.includes(`goscon-21.${SERVICE}`));
  assert(!at.asked.includes(`goscon-24.${SERVICE}`));
});

Deno.test("DnsDiscovery tells the port of the configuration", async () => {
  await using at = await stage();
  serve(at.zone, { 0: "10.0.0.1" });
  const told: (readonly Found[])[] = [];
  at.discovery.watch((found) => told.push(found));
  await turn();
  assert.deepEqual(told, [[{ slot: 0, addr: { hostname: "10.0.0.1", port: 1250 } }]]);
});

Deno.test("DnsDiscovery of an edge looks for nodes named as the service, whatever its own host is named", async () => {
  for (const hostname of ["edge-1", "edge-7d9f-x2b"]) {
    await using at = await stage({ hostname, role: "edge" });
    serve(at.zone, { 1: "10.0.0.2" });
    await at.watch();
    assert.deepEqual(at.told, [{ 1: "10.0.0.2" }]);
  }
});

Deno.test("DnsDiscovery asks for the service alone every 5 s while its addresses are the same, in any order, and for all each minute", async () => {
  await using at = await stage();
  serve(at.zone, { 0: "10.0.0.1", 1: "10.0.0.2" });
  await at.watch();
  at.asked.length = 0;
  at.zone[SERVICE] = ["10.0.0.2", "10.0.0.1"];
  await at.later(11);
  assert.deepEqual(at.asked, Array(11).fill(SERVICE));
  await at.later(1);
  assert(at.asked.includes(`goscon-1.${SERVICE}`));
});

Deno.test("DnsDiscovery sees within 5 s that a node has come or has another address", async () => {
  await using at = await stage();
  serve(at.zone, { 0: "10.0.0.1" });
  await at.watch();
  serve(at.zone, { 0: "10.0.0.1", 1: "10.0.0.2" });
  await at.later(1);
  serve(at.zone, { 0: "10.0.0.1", 1: "10.0.0.9" });
  await at.later(1);
  assert.deepEqual(at.told.slice(1), [{ 0: "10.0.0.1", 1: "10.0.0.2" }, { 0: "10.0.0.1", 1: "10.0.0.9" }]);
});

Deno.test("DnsDiscovery finds a node whose name is known later than its address", async () => {
  await using at = await stage();
  serve(at.zone, { 0: "10.0.0.1" });
  await at.watch();
  at.zone[SERVICE] = ["10.0.0.1", "10.0.0.2"];
  await at.later(1);
  assert.equal(at.told.length, 1);
  at.zone[`goscon-1.${SERVICE}`] = ["10.0.0.2"];
  await at.later(1);
  assert.deepEqual(at.told[1], { 0: "10.0.0.1", 1: "10.0.0.2" });
});

Deno.test("DnsDiscovery looks for the slot of an address that has none ever less often, and tells it once", async () => {
  await using at = await stage({ slots: 8 });
  serve(at.zone, { 0: "10.0.0.1" });
  at.zone[SERVICE] = ["10.0.0.1", "10.9.9.9"];
  await at.watch();
  await at.later(120);
  const scans = at.asked.filter((name) => name === `goscon-7.${SERVICE}`).length;
  // At 0, 5, 15, 35 and 75 s, and each minute then, of ten.
  assert.equal(scans, 5 + 8);
  assert.deepEqual(at.log.of("addresses of no node").map(({ addresses }) => addresses), ["10.9.9.9"]);
});

Deno.test("DnsDiscovery keeps a node that is gone for as long as its sessions may live", async () => {
  await using at = await stage();
  serve(at.zone, { 0: "10.0.0.1", 1: "10.0.0.2" });
  await at.watch();
  serve(at.zone, { 0: "10.0.0.1" });
  await at.later(6); // seen to be gone after 5 s, kept for 30
  assert.equal(at.told.length, 1);
  await at.later(1);
  assert.deepEqual(at.told[1], { 0: "10.0.0.1" });
});

Deno.test("DnsDiscovery forgets when a node was gone that has come back", async () => {
  await using at = await stage();
  const both = { 0: "10.0.0.1", 1: "10.0.0.2" };
  serve(at.zone, both);
  await at.watch();
  for (let i = 0; i < 10; i++) {
    serve(at.zone, { 0: "10.0.0.1" });
    await at.later(4);
    serve(at.zone, both);
    await at.later(1);
  }
  assert.equal(at.told.length, 1);
});

Deno.test("DnsDiscovery goes on with what it knows while the DNS fails, however long, and says so once", async () => {
  await using at = await stage();
  const nodes = { 0: "10.0.0.1", 1: "10.0.0.2" };
  serve(at.zone, nodes);
  await at.watch();
  at.zone[SERVICE] = failure("EAI_AGAIN");
  await at.later(1000);
  serve(at.zone, nodes);
  at.zone[`goscon-0.${SERVICE}`] = failure("EAI_AGAIN");
  await at.later(1000);
  serve(at.zone, nodes);
  await at.later(20);
  assert.equal(at.told.length, 1);
  assert.deepEqual(at.log.of("nodes not looked up").map(({ reason }) => reason), ["lookup failed: EAI_AGAIN"]);
});

Deno.test("DnsDiscovery tells nobody before the DNS has answered", async () => {
  await using at = await stage();
  at.zone[SERVICE] = failure("EAI_AGAIN");
  await at.watch();
  assert.deepEqual(at.told, []);
  serve(at.zone, { 0: "10.0.0.1" });
  await at.later(1);
  assert.deepEqual(at.told, [{ 0: "10.0.0.1" }]);
});

Deno.test("DnsDiscovery stays with one address of a name that has several", async () => {
  await using at = await stage();
  serve(at.zone, { 0: "10.0.0.1" });
  at.zone[SERVICE] = at.zone[`goscon-0.${SERVICE}`] = ["10.0.0.1", "fd00::1"];
  await at.watch();
  at.zone[`goscon-0.${SERVICE}`] = ["fd00::1", "10.0.0.1"];
  await at.later(13);
  assert.deepEqual(at.told, [{ 0: "10.0.0.1" }]);
});

Deno.test("DnsDiscovery ends while a look-up is pending, which tells nothing any more", async () => {
  const time = stillTime();
  try {
    const answer = Promise.withResolvers<string[]>();
    const log = new TestLog();
    const discovery = new DnsDiscovery({
      ...{ role: "node", service: SERVICE, port: 1, slots: 64, hostname: "goscon-0", keep: 0, random: () => 0, log },
      lookup: () => answer.promise,
      now: () => performance.now(),
      state: await StateDir.open(undefined, log),
    });
    let told = 0;
    discovery.watch(() => told++);
    await turn();
    await discovery.close();
    answer.resolve(["10.0.0.1"]);
    await turn();
    assert.equal(told, 0);
    assert.deepEqual(log.events, []);
  } finally {
    time[Symbol.dispose]();
  }
});

Deno.test("DnsDiscovery knows what another process had found, and keeps it for as long as what is gone", async () => {
  await using at = await stage();
  at.zone[SERVICE] = failure("ETIMEOUT");
  await at.watch([{ slot: 4, addr: { hostname: "10.0.0.5", port: 1250 } }]);
  assert.deepEqual(at.told, [{ 4: "10.0.0.5" }]);
  serve(at.zone, { 0: "10.0.0.1" });
  await at.later(6);
  assert.deepEqual(at.told[1], { 0: "10.0.0.1", 4: "10.0.0.5" });
  await at.later(6);
  assert.deepEqual(at.told[2], { 0: "10.0.0.1" });
});
