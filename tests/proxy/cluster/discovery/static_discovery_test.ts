import assert from "node:assert/strict";
import type { Found } from "../../../../lib/proxy/cluster/discovery/discovery.ts";
import { StateDir } from "../../../../lib/proxy/cluster/discovery/state_dir.ts";
import { StaticDiscovery } from "../../../../lib/proxy/cluster/discovery/static_discovery.ts";
import { TestLog } from "../../../helpers/proxy.ts";

const NODES = [{ slot: 0, hostname: "10.0.0.1", port: 1250 }, { slot: 3, hostname: "::1", port: 1251 }];

async function opened({ slot, dir, chance = 0 }: { slot?: number; dir?: string; chance?: number }) {
  const state = await StateDir.open(dir, new TestLog());
  return new StaticDiscovery({ slot, nodes: NODES, state, random: () => chance });
}

const claimant = (remembered: [number, number][]) => ({
  instance: "a",
  addr: { hostname: "10.0.0.1", port: 1250 },
  remembered: new Map(remembered),
});

Deno.test("StaticDiscovery gives the slot of the configuration, in the epoch after the largest that anyone remembers", async () => {
  const dir = await Deno.makeTempDir();
  try {
    assert.deepEqual(await (await opened({ slot: 3, dir })).claim(claimant([[3, 4], [2, 9]])), { slot: 3, epoch: 5 });
    assert.deepEqual(await (await opened({ slot: 3, dir })).claim(claimant([[3, 2]])), { slot: 3, epoch: 6 });
    assert.deepEqual(await (await opened({ slot: 3, dir })).claim(claimant([])), { slot: 3, epoch: 7 });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("StaticDiscovery gives an epoch by chance where nobody remembers any, and counts on from the first one, 0", async () => {
  for (const [chance, epoch] of [[0, 0], [0.3, 1], [0.6, 2], [0.999, 3]] as const) {
    assert.deepEqual(await (await opened({ slot: 3, chance })).claim(claimant([])), { slot: 3, epoch });
  }
  assert.deepEqual(await (await opened({ slot: 3 })).claim(claimant([[3, 0]])), { slot: 3, epoch: 1 });
});

Deno.test("StaticDiscovery has no slot for an edge, and says which key is missing", async () => {
  await assert.rejects((await opened({})).claim(claimant([])), /cluster\.slot is missing/);
});

Deno.test("StaticDiscovery tells the nodes of the configuration at once, and others when it has others, until it is closed", async () => {
  const discovery = await opened({ slot: 0 });
  const told: (readonly Found[])[] = [];
  discovery.watch((found) => told.push(found));
  discovery.reconfigure([{ slot: 1, hostname: "b.example", port: 1 }]);
  await discovery.close();
  discovery.reconfigure([]);
  assert.deepEqual(told, [
    [{ slot: 0, addr: { hostname: "10.0.0.1", port: 1250 } }, { slot: 3, addr: { hostname: "::1", port: 1251 } }],
    [{ slot: 1, addr: { hostname: "b.example", port: 1 } }],
  ]);
});
