import assert from "node:assert/strict";
import { type Config, parseConfig } from "../../../lib/config.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import { formatEndpoint } from "../../../lib/link/link.ts";
import { ClusterPlane, startDataPlane } from "../../../lib/proxy/cluster/cluster_plane.ts";
import type { InheritedPlane } from "../../../lib/proxy/cluster/node_process.ts";
import type { ComingToNode } from "../../../lib/proxy/cluster/nodes/node_snapshot.ts";
import { AckedClient } from "../../helpers/acked_client.ts";
import { Backend, echo } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";
import { freePort } from "../../helpers/free_port.ts";
import { movePlane } from "../../helpers/moving.ts";
import { TestLog, TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { RawClient } from "../../helpers/raw_client.ts";
import { TestNode } from "../../helpers/test_node.ts";

const LINUX = { ignore: Deno.build.os !== "linux" || Deno.env.get("GOSCON_IO") === "deno" };
if (Deno.build.os === "linux") DescriptorCalls.open();

function configOf(backend: Backend): Config {
  const addr = `127.0.0.1:${freePort()}`;
  const cluster = {
    name: "test",
    secrets: ["a secret of the test"],
    slot: 1,
    listen: addr,
    nodes: [{ slot: 1, addr }],
  };
  const fixed = { workers: 2, shutdown_timeout: "10ms", log: { level: "error" } };
  return parseConfig(
    JSON.stringify({ ...TestProxy.LISTEN, ...fixed, hosts: [{ addr: backend.address }], cluster }),
    "f.yaml",
  ).config;
}

async function start(config: Config, inherited?: InheritedPlane): Promise<ClusterPlane & AsyncDisposable> {
  const plane = await startDataPlane(config, new TestLog(), { end: new Promise(() => {}), inherited });
  assert(plane instanceof ClusterPlane);
  return Object.assign(plane, { [Symbol.asyncDispose]: () => plane.stop() });
}

/** One that is to go on with another, as that passes it. */
async function successorOf(plane: ClusterPlane, config: Config): Promise<ClusterPlane & AsyncDisposable> {
  const passed = await plane.passListeners();
  const listen = passed.filter(({ isForPeers }) => !isForPeers);
  return await start(config, { listen, door: passed.find(({ isForPeers }) => isForPeers), node: plane.node });
}

async function selfOf(plane: ClusterPlane): Promise<unknown> {
  return (await plane.snapshot()).cluster!.self;
}

async function echoes(client: RawClient | AckedClient): Promise<void> {
  await client.send(pattern(0, 1000));
  assertSameBytes(await client.receive(1000), pattern(0, 1000));
}

Deno.test(
  "another plane goes on as the same node, with its sessions; a client that an edge carries is cut, and resumes",
  LINUX,
  async () => {
    await using backend = new Backend();
    backend.serve(echo);
    const config = configOf(backend);
    await using before = await start(config);
    const { self } = (await before.snapshot()).cluster!;
    const { slot, epoch, instance, addr } = self;
    await using edge = new TestNode(undefined, { shutdown_timeout: "10ms" });
    edge.know([{ ...edge.view, slot: slot!, epoch: epoch!, instance, addr }]);
    using direct = await RawClient.open(formatEndpoint(before.addresses[0]!));
    using carried = await AckedClient.open(edge.address);
    await Promise.all([direct, carried].map(echoes));

    await using after = await successorOf(before, config);
    await before.setListening("paused");
    await after.moveIn(structuredClone(await before.sessionIds()), []);
    await after.setListening("on");
    assert.deepEqual(await selfOf(after), self);
    const last = await movePlane(before, after);
    const { kind, closed: [name] } = last as Extract<ComingToNode, { kind: "closed" }>;
    assert.deepEqual(
      [kind, name?.instance],
      ["closed", edge.identities.own.instance],
      "who carries it is to hear of it",
    );
    await before.setListening("off");
    assert.deepEqual((await before.snapshot()).gauges.sessions, { connecting: 0, attached: 0, detached: 0 });

    await echoes(direct);
    await carried.resume();
    await Promise.all([direct, carried].map(echoes));
    assert.equal((await after.session(carried.id))!.via, edge.identities.own.instance);
    assert.equal((await after.sessions({ limit: 10 })).total, 2);
  },
);

Deno.test(
  "another plane goes on as the same node when the process before is gone without a word more",
  LINUX,
  async () => {
    await using backend = new Backend();
    backend.serve(echo);
    const config = configOf(backend);
    const before = await start(config);
    const self = await selfOf(before);
    await using after = await successorOf(before, config);
    await before.stop();
    await after.setListening("on");
    assert.deepEqual(await selfOf(after), self);
    using client = await RawClient.open(formatEndpoint(after.addresses[0]!));
    await echoes(client);
  },
);

Deno.test("a plane does not start as a node that it cannot read", LINUX, async () => {
  await using backend = new Backend();
  for (const node of [undefined, { own: {} }]) {
    await assert.rejects(start(configOf(backend), { listen: [], door: undefined, node }), { name: "ShapeError" });
  }
});
