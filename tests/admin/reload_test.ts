import assert from "node:assert/strict";
import { Reloader, type ReloadResult } from "../../lib/admin/reload.ts";
import { type Config, parseConfig } from "../../lib/config.ts";
import type { DataPlane } from "../../lib/proxy/data_plane.ts";
import { TestLog } from "../helpers/proxy.ts";

const SECRET = "0123456789abcdef";
const CLUSTER = {
  name: "game",
  slot: 0,
  nodes: [{ slot: 0, addr: "10.0.0.4:1250" }],
  listen: "127.0.0.1:1250",
  secrets: [SECRET],
};
const REDIS = { slot: undefined, nodes: undefined, discovery: "redis", redis: { url: "redis://:hunter2@a" } };

/** A process whose file has such a section `cluster`, or none, and such listeners; what is in the files that it names is `content`. */
class Process {
  readonly log = new TestLog();
  /** What the data plane was told to go by. */
  readonly told: Config[] = [];
  content = "first";
  listen: unknown[] = [{ tcp: "127.0.0.1:1248" }];
  #keys: unknown;
  readonly reloader: Reloader;

  constructor(cluster: unknown) {
    this.#keys = cluster;
    const dataPlane = { reconfigure: (config: Config) => (this.told.push(config), Promise.resolve()) };
    this.reloader = new Reloader(this.#read(), {
      log: this.log,
      dataPlane: dataPlane as unknown as DataPlane,
      read: async () => await this.#read(),
      apply: () => {},
    });
  }

  reload(cluster: unknown): Promise<ReloadResult> {
    this.#keys = cluster;
    return this.reloader.reload();
  }

  #read(): Config {
    const text = JSON.stringify({ hosts: [{ addr: "builtin:echo" }], listen: this.listen, cluster: this.#keys });
    const { content } = this;
    return parseConfig(text, "f.yaml", () => ({ cert: content, key: content }), () => content).config;
  }
}

Deno.test("a reload that would make the process another node is refused as a whole, and names each key", async () => {
  const other: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ["cluster.name", CLUSTER, { name: "other" }],
    ["cluster.role, cluster.slot", CLUSTER, { role: "edge", slot: undefined }],
    ["cluster.slots, cluster.threads", CLUSTER, { slots: 32, threads: 32 }],
    ["cluster.discovery, cluster.slot, cluster.redis", CLUSTER, REDIS],
    ["cluster.slot", CLUSTER, { slot: 1 }],
    ["cluster.dns", CLUSTER, { dns: { service: "a.example", port: 1250 } }],
    ["cluster.redis", { ...CLUSTER, ...REDIS }, { redis: { ...REDIS.redis, lease: "16s" } }],
    ["cluster.redis", { ...CLUSTER, ...REDIS }, { redis: { url: "redis://:hunter3@a" } }],
    ["cluster.listen", CLUSTER, { listen: "127.0.0.2:1250" }],
    ["cluster.advertise", CLUSTER, { advertise: "10.0.0.4:1251" }],
    ["cluster.advertise", { ...CLUSTER, advertise: "10.0.0.4:1251" }, { advertise: undefined }],
    ["cluster.state_dir", CLUSTER, { state_dir: "/var/lib/goscon" }],
  ];
  for (const [keys, section, change] of other) {
    const process = new Process(section);
    const before = process.reloader.config;
    const fault = `${keys}: no reload can change this: restart the process, or leave it as it was`;
    assert.deepEqual(await process.reload({ ...section, weight: 7, ...change }), { ok: false, faults: [fault] });
    assert.equal(process.reloader.config, before);
    assert.deepEqual(process.told, []);
    assert.deepEqual(process.log.events, [{ event: "configuration not reloaded", reason: fault }]);
  }
});

Deno.test("a reload that would take a process into a cluster, or out of it, is refused", async () => {
  const faults = ["cluster: no reload can change this: restart the process, or leave it as it was"];
  assert.deepEqual(await new Process(undefined).reload(CLUSTER), { ok: false, faults });
  assert.deepEqual(await new Process(CLUSTER).reload(undefined), { ok: false, faults });
  assert.deepEqual(await new Process(undefined).reload(undefined), { ok: true, changed: [], needsRestart: [] });
});

Deno.test("a reload changes what of a cluster a node can change while it runs, and of secrets tells only that they have changed", async () => {
  const process = new Process(CLUSTER);
  const tls = { ca: "ca.pem", cert: "c.pem", key: "k.pem" };
  const changes = {
    nodes: [...CLUSTER.nodes, { slot: 1, addr: "10.0.0.5:1250" }],
    serves: ["^game_"],
    weight: 7,
    tls,
    secrets: [`${SECRET}-new`, SECRET],
    drain_delay: "7s",
    drain_rate: 7,
  };
  const result = await process.reload({ ...CLUSTER, ...changes });
  assert(result.ok);
  assert.deepEqual(result.needsRestart, []);
  assert.deepEqual(result.changed.toSorted(), [
    'cluster.drain_delay: "5s" -> "7s"',
    "cluster.drain_rate: 100 -> 7",
    'cluster.nodes[1]: nothing -> {"slot":1,"addr":"10.0.0.5:1250"}',
    "cluster.secrets: they have changed",
    'cluster.serves[0]: nothing -> "^game_"',
    'cluster.tls: nothing -> {"ca":"ca.pem","cert":"c.pem","key":"k.pem","name":"goscon-cluster"}',
    "cluster.weight: 100 -> 7",
  ]);
  assert.doesNotMatch(JSON.stringify(process.log.events), new RegExp(SECRET));
  assert.deepEqual(process.told.map(({ cluster }) => [cluster?.weight, cluster?.tls?.ca]), [[7, "first"]]);
});

Deno.test("a reload reads the files of cluster.tls again, and tells that they have changed", async () => {
  const section = { ...CLUSTER, tls: { ca: "ca.pem", cert: "c.pem", key: "k.pem" } };
  const process = new Process(section);
  assert.deepEqual(await process.reload(section), { ok: true, changed: [], needsRestart: [] });
  process.content = "second";
  const changed = ["cluster.tls: the files have changed"];
  assert.deepEqual(await process.reload(section), { ok: true, changed, needsRestart: [] });
  assert.deepEqual(process.told.map(({ cluster }) => cluster?.tls?.ca), ["first", "second"]);
});

Deno.test("FEC of a listener that stays wants a restart, whatever its place in the list; that of a new one does not", async () => {
  const process = new Process(undefined);
  const reload = async (...listen: unknown[]) => {
    process.listen = [{ tcp: "127.0.0.1:1248" }, ...listen];
    const result = await process.reload(undefined);
    assert(result.ok);
    return result.needsRestart;
  };
  const at = (port: number, more = {}) => ({ kcp: `127.0.0.1:${port}`, ...more });
  assert.deepEqual(await reload(at(1248, { fec: { data: 3, parity: 1 } })), []);
  const changed = ["listen[2].fec.parity: 1 -> 2"];
  assert.deepEqual(await reload(at(1249, { mtu: 500 }), at(1248, { mtu: 500, fec: { data: 3, parity: 2 } })), changed);
  assert.deepEqual(process.log.of("this change needs a restart"), [{
    event: "this change needs a restart",
    key: changed[0],
  }]);
  assert.deepEqual(await reload(at(1248)), ['listen[1].fec: {"data":3,"parity":2} -> nothing']);
});
