import assert from "node:assert/strict";
import { clusterIdentity } from "../../../lib/admin/cluster_identity.ts";
import { Door } from "../../../lib/admin/upgrade/door.ts";
import { Inheritance } from "../../../lib/admin/upgrade/inheritance.ts";
import type { Parcel } from "../../../lib/link/engine/passing/parcel.ts";
import type { PlainData } from "../../../lib/link/engine/passing/plain_data.ts";
import { FORMAT, UPGRADE_VARIABLE } from "../../../lib/admin/upgrade/steps.ts";
import { type Config, ConfigError, parseConfig } from "../../../lib/config.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import { System } from "../../../lib/link/engine/system.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
if (Deno.build.os === "linux") DescriptorCalls.open();

const NODE = {
  name: "a",
  slot: 1,
  listen: "127.0.0.1:0",
  nodes: [{ slot: 1, addr: "127.0.0.1:1" }],
  secrets: ["0123456789abcdef"],
};

/** With another one. */
const MORE = [...NODE.nodes, { slot: 2, addr: "127.0.0.1:2" }];

function configOf(cluster?: Record<string, unknown>): Config {
  return parseConfig(JSON.stringify({ hosts: [{ addr: "builtin:echo" }], cluster }), "f.yaml").config;
}

/** A process that was started to take over from one with that configuration, and what it says to that. Leaves no descriptor behind. */
function test(
  name: string,
  was: Config,
  run: (inheritance: Inheritance, parcel: Parcel) => Promise<void>,
): void {
  Deno.test(name, LINUX, async () => {
    const before = ownDescriptors();
    const door = new Door(() => assert.fail());
    Deno.env.set(UPGRADE_VARIABLE, door.path);
    const opening = Inheritance.open("1.0.0");
    const parcel = await door.accept();
    (await parcel.receive())![Symbol.dispose]();
    const identity = clusterIdentity(was) as PlainData;
    const cluster = identity && { identity, node: { some: "thing" } };
    await parcel.send({ step: "hello", format: FORMAT, version: "1.0.0", pid: 5, cluster });
    const inheritance = (await opening)!;
    await run(inheritance, parcel);
    await inheritance.refuse([]);
    await door.close();
    assert.deepEqual(ownDescriptors(), before);
  });
}

test(
  "a process goes on as the node that the one before was, with the address for peers, and may change what a reload may",
  configOf(NODE),
  async (inheritance, parcel) => {
    const listeners = inheritance.listeners(configOf({ ...NODE, serves: ["chat"], drain_rate: 7, nodes: MORE }));
    (await parcel.receive())![Symbol.dispose]();
    const [near, far] = System.open().socketPair();
    await parcel.send({ step: "listener", owner: "cluster", listener: { hostname: "h", port: 1, hadPort: 2 } }, [far]);
    await parcel.send({ step: "listeners" });
    const { door, node } = await listeners;
    const { descriptors: [fd], ...had } = door!;
    assert.deepEqual([had, node], [{ hostname: "h", port: 1, hadPort: 2 }, { some: "thing" }]);
    for (const each of [near, far, fd!]) System.open().close(each);
  },
);

const { slot: _, ...unslotted } = NODE;
const redisAt = (url: string) => configOf({ ...unslotted, nodes: undefined, discovery: "redis", redis: { url } });
const OTHERS: [what: string, was: Config, is: Config, keys: string][] = [
  ["another name and slot", configOf(NODE), configOf({ ...NODE, name: "b", slot: 2 }), "cluster.name, cluster.slot"],
  ["another role", configOf(NODE), configOf({ ...unslotted, role: "edge" }), "cluster.role, cluster.slot"],
  ["another layout", configOf(NODE), configOf({ ...NODE, slots: 32, threads: 8 }), "cluster.slots, cluster.threads"],
  ["another Redis", redisAt("redis://one"), redisAt("redis://two"), "cluster.redis"],
  ["another address for peers", configOf(NODE), configOf({ ...NODE, listen: "127.0.0.1:7" }), "cluster.listen"],
  ["a cluster", configOf(), configOf(NODE), "cluster"],
  ["no cluster", configOf(NODE), configOf(), "cluster"],
];
for (const [what, was, is, keys] of OTHERS) {
  test(
    `a process with ${what} does not go on as the node that the one before was`,
    was,
    async (inheritance, parcel) => {
      await assert.rejects(inheritance.listeners(is), (error) => {
        assert(error instanceof ConfigError);
        assert.deepEqual(error.faults, [
          `${keys}: no upgrade can change this: restart the process, or leave it as it was`,
        ]);
        return true;
      });
      // It has not said that there is no fault.
      await inheritance.refuse(["that"]);
      using said = (await parcel.receive())!;
      assert.deepEqual(said.data, { step: "faults", faults: ["that"] });
    },
  );
}
