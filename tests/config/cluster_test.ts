import assert from "node:assert/strict";
import { ConfigError, formatConfig, idsOfThread, parseConfig } from "../../lib/config.ts";
import { readCa, readPair } from "../../lib/admin/config_file.ts";
import { layoutOf, ownerBits } from "../../lib/proxy/owner.ts";

const HOSTS = 'hosts: [{addr: "builtin:echo"}]\n';
const SECRET = "0123456789abcdef";

const parsed = (text: string) => parseConfig(text, "f.yaml");

function faultsOf(text: string): readonly string[] {
  try {
    parsed(text);
  } catch (error) {
    assert(error instanceof ConfigError, String(error));
    return error.faults;
  }
  assert.fail(`no fault was found in ${text}`);
}

/** What a section says, by its keys: of a node that is right, where nothing else is said; `undefined` takes a key away. */
function section(keys: Record<string, unknown> = {}): string {
  const right = { name: "game", slot: 0, nodes: [{ slot: 0, addr: "10.0.0.4:1250" }], listen: "127.0.0.1:1250" };
  return `${HOSTS}cluster: ${JSON.stringify({ ...right, secrets: [SECRET], ...keys })}\n`;
}

/** What is wrong with such a section, without its place, which is always in the second line. */
function wrong(keys: Record<string, unknown>): string[] {
  return faultsOf(section(keys)).map((fault) => {
    assert.match(fault, /^f\.yaml:2:\d+: cluster/);
    return fault.replace(/^f\.yaml:2:\d+: cluster\.?/, "");
  });
}

Deno.test("parseConfig() fills in every default of a cluster", () => {
  assert.deepEqual(parsed(section()), {
    config: {
      ...parsed(HOSTS).config,
      cluster: {
        name: "game",
        role: "node",
        slots: 64,
        threads: 16,
        discovery: "static",
        slot: 0,
        nodes: [{ slot: 0, hostname: "10.0.0.4", port: 1250 }],
        listen: { hostname: "127.0.0.1", port: 1250 },
        serves: [],
        weight: 100,
        secrets: [SECRET],
        drainDelay: 5000,
        drainRate: 100,
      },
    },
    warnings: [],
  });
  const { redis } = parsed(section({ ...REDIS, redis: { url: "redis://redis.example" } })).config.cluster!;
  assert.deepEqual(redis, { url: "redis://redis.example", prefix: "goscon:", lease: 15_000 });
});

const REDIS = {
  discovery: "redis",
  slot: undefined,
  nodes: undefined,
  redis: { url: "rediss://:secret@10.0.0.9:6379/1" },
};
const DNS = { discovery: "dns", slot: undefined, nodes: undefined, dns: { service: "goscon.game.svc", port: "1250" } };
const EDGE = { role: "edge", slot: undefined };

const FULL = `cluster:
  name: game-eu
  role: node
  slots: 0x10
  threads: "4"
  discovery: redis
  redis: { url: "rediss://a:b@redis.example:6380/2", prefix: "p:", lease: 1500ms }
  Listen: "[::]:1250"
  advertise: "[2001:db8::1]:1251"
  serves: [^game_, lobby$]
  weight: 7
  tls: { ca: ca.pem, cert: c.pem, key: k.pem, name: peer }
  secrets: [${SECRET}-new, ${SECRET}-old]
  state_dir: /var/lib/goscon
  drain_delay: 0
  drain_rate: 1
`;

Deno.test("parseConfig() reads every key of a cluster, and formatConfig() writes them", () => {
  const files = [
    (cert: string, key: string) => ({ cert: `in ${cert}`, key: `in ${key}` }),
    (ca: string) => `in ${ca}`,
  ] as const;
  const { config, warnings } = parseConfig(HOSTS + FULL, "f.yaml", ...files);
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.cluster, {
    name: "game-eu",
    role: "node",
    slots: 16,
    threads: 4,
    discovery: "redis",
    nodes: [],
    redis: { url: "rediss://a:b@redis.example:6380/2", prefix: "p:", lease: 1500 },
    listen: { hostname: "::", port: 1250 },
    advertise: { hostname: "2001:db8::1", port: 1251 },
    serves: ["^game_", "lobby$"],
    weight: 7,
    tls: {
      caFile: "ca.pem",
      certFile: "c.pem",
      keyFile: "k.pem",
      name: "peer",
      ca: "in ca.pem",
      cert: "in c.pem",
      key: "in k.pem",
    },
    secrets: [`${SECRET}-new`, `${SECRET}-old`],
    stateDir: "/var/lib/goscon",
    drainDelay: 0,
    drainRate: 1,
  });
  const more = [DNS, EDGE, { slot: 3, advertise: "a.example:1", role: "node" }].map((keys) =>
    parsed(section(keys)).config
  );
  for (const one of [config, ...more]) {
    assert.deepEqual(parseConfig(formatConfig(one), "dump.yaml", ...files).config, one);
  }
});

Deno.test("parseConfig() tells what a key of a cluster takes, and of what is secret nothing else", () => {
  const cases: [Record<string, unknown>, string | RegExp][] = [
    [{ name: undefined }, "name: is missing"],
    [{ name: "" }, `name: expected 1 to 64 letters, digits, '.', '_' and '-', not ""`],
    [{ name: "a b" }, /^name: expected 1 to 64 letters/],
    [{ role: "queen" }, 'role: expected one of node, edge, not "queen"'],
    [{ slots: 48 }, "slots: expected a power of two, 1 to 4096, not 48"],
    [{ slots: 8192, threads: 1 }, "slots: expected a power of two, 1 to 4096, not 8192"],
    [{ slots: 0 }, "slots: expected a power of two, 1 to 4096, not 0"],
    [{ slots: 0.5 }, "slots: expected a power of two, 1 to 4096, not 0.5"],
    [{ slots: "few" }, 'slots: expected a power of two, 1 to 4096, not "few"'],
    [{ threads: 128 }, /^threads: expected a power of two, 1 to 64/],
    [{ threads: 3 }, "threads: expected a power of two, 1 to 64, not 3"],
    [{ discovery: "dhcp" }, 'discovery: expected one of static, dns, redis, not "dhcp"'],
    [{ nodes: [{ slot: 0 }] }, "nodes[0].addr: is missing"],
    [{ nodes: 5 }, "nodes: expected a list of nodes, not 5"],
    [{ listen: undefined }, "listen: is missing"],
    [{ listen: "unix:/a" }, "listen: expected host:port or [IPv6]:port, to listen on"],
    [{ serves: ["["] }, "serves[0]: expected a regular expression, as Go has them: missing closing ]: `[`"],
    [{ serves: "game" }, 'serves: expected a list of regular expressions, not "game"'],
    [{ weight: 0 }, /^weight: expected a weight, a whole number of 1 to/],
    [{ tls: { cert: "c" } }, /^tls\.ca: is missing$/],
    [{ secrets: [""] }, "secrets[0]: expected a text of at least 16 characters"],
    [{ secrets: [SECRET, SECRET.slice(1)] }, "secrets[1]: expected a text of at least 16 characters"],
    [{ secrets: SECRET }, "secrets: expected a list of secrets"],
    [{ state_dir: "" }, 'state_dir: expected a directory, not ""'],
    [{ drain_delay: "soon" }, /^drain_delay: expected a number of seconds/],
    [{ drain_rate: 0 }, /^drain_rate: expected a number of clients a second, a whole number of 1 to \d+, not 0$/],
    [{ ...DNS, dns: { service: "a b", port: 1 } }, 'dns.service: expected a name of the DNS, not "a b"'],
    [{ ...DNS, dns: { service: "a" } }, "dns.port: is missing"],
    [{ weigth: 1 }, "weigth: unknown key; did you mean weight?"],
  ];
  for (const [keys, fault] of cases) {
    const [first, ...more] = wrong(keys);
    if (typeof fault === "string") assert.equal(first, fault);
    else assert.match(first!, fault);
    assert(more.every((other) => other.startsWith("tls.")), more.join());
  }
  const addresses = ["0.0.0.0:1", ":1", "[::]:1", "[::ffff:0.0.0.0]:1", "a.example:0", "unix:/a", "builtin:echo"];
  const other = "expected host:port or [IPv6]:port, to which other nodes can connect";
  for (const addr of addresses) {
    assert.deepEqual(wrong({ advertise: addr }), [`advertise: ${other}`], addr);
    assert.deepEqual(wrong({ nodes: [{ slot: 0, addr }] }), [`nodes[0].addr: ${other}`], addr);
  }
  for (const url of ["http://:secret@a/", "secret", "redis:", "redis://", `redis://:secret@a:99999/`]) {
    assert.deepEqual(wrong({ ...REDIS, redis: { url } }), [
      "redis.url: expected redis://HOST, or rediss://HOST for TLS",
    ]);
  }
  assert.deepEqual(wrong({ ...REDIS, redis: "redis://:secret@a" }), [
    "redis: expected a map with url, prefix and lease",
  ]);
  assert.deepEqual(faultsOf(`${HOSTS}cluster:`), [
    "f.yaml:2:9: cluster: expected a map with name, listen and more, not nothing",
  ]);
});

Deno.test("parseConfig() tells what is wrong with a cluster although each of its values is right", () => {
  const cases: [Record<string, unknown>, ...string[]][] = [
    [{ secrets: undefined }, "secrets: expected secrets, or tls: anyone could be a peer"],
    [{ secrets: [] }, "secrets: expected secrets, or tls: anyone could be a peer"],
    [{ slots: 256, threads: 32 }, "slots: expected at most 128 with threads: 32, as an id has no room for more"],
    [{ slots: 512 }, "slots: expected at most 256 with threads: 16, as an id has no room for more"],
    [{ slot: undefined }, "slot: is missing: that of this node"],
    [{ nodes: [] }, "nodes: expected all nodes, each with slot and addr"],
    [{ nodes: undefined }, "nodes: expected all nodes, each with slot and addr"],
    [{ role: "edge" }, "slot: an edge has none: it owns no session"],
    [{ ...EDGE, nodes: [] }, "nodes: expected all nodes, each with slot and addr"],
    [{ slots: 4, slot: 4 }, "slot: expected a slot below slots, 4"],
    [{ slots: 4, nodes: [{ slot: 4, addr: "a:1" }] }, "nodes[0].slot: expected a slot below slots, 4"],
    [
      { nodes: [{ slot: 0, addr: "a:1" }, { slot: 1, addr: "b:1" }, { slot: 0, addr: "c:1" }] },
      "nodes[2].slot: is that of nodes[0] already",
    ],
    [{ slot: 1, listen: ":1250" }, "nodes: expected slot 1, which is this node's, or advertise: its address"],
    [{ ...DNS, dns: undefined }, "dns: is missing: discovery is dns"],
    [{ ...REDIS, redis: undefined }, "redis: is missing: discovery is redis"],
    [{ ...REDIS, listen: ":1250" }, "advertise: is missing: nobody could connect to :1250, which listen says"],
    [
      { ...REDIS, ...EDGE, listen: "[::]:1250" },
      "advertise: is missing: nobody could connect to [::]:1250, which listen says",
    ],
    // All at once, beside what the schema says.
    [
      { name: "", slot: 64, nodes: [], secrets: [] },
      `name: expected 1 to 64 letters, digits, '.', '_' and '-', not ""`,
      "slot: expected a slot below slots, 64",
      "nodes: expected all nodes, each with slot and addr",
      "secrets: expected secrets, or tls: anyone could be a peer",
    ],
  ];
  for (const [keys, ...faults] of cases) assert.deepEqual(wrong(keys), faults);
  const right = [
    { slots: 256, threads: 16 },
    { slots: 4096, threads: 1 },
    { slots: 64, threads: 64 },
    { slot: 1, listen: "10.0.0.5:1250" },
    { slot: 1, listen: ":1250", advertise: "10.0.0.5:1250" },
    { ...EDGE, listen: ":1250" },
    { ...DNS, listen: ":1250" },
    { ...DNS, ...EDGE, listen: ":1250" },
    { ...REDIS, listen: ":1250", advertise: "10.0.0.5:1250" },
    { secrets: undefined, tls: { ca: "a", cert: "b", key: "c" } },
  ];
  for (const keys of right) assert(parsed(section(keys)).config.cluster);
});

Deno.test("parseConfig() tells where a fault of a cluster is: at its key, or where the section begins", () => {
  const text = `cluster:
  name: game
  slots: 2
  slot: 2
  nodes:
    - { slot: 0, addr: 10.0.0.4:1250 }
    - { slot: 0, addr: 10.0.0.5:1250 }
  listen: 127.0.0.1:1250
  secrets:
    - short
workers: 32
`;
  assert.deepEqual(faultsOf(HOSTS + text), [
    "f.yaml:5:9: cluster.slot: expected a slot below slots, 2",
    "f.yaml:8:15: cluster.nodes[1].slot: is that of nodes[0] already",
    "f.yaml:11:7: cluster.secrets[0]: expected a text of at least 16 characters",
    "f.yaml:12:10: workers: expected at most cluster.threads, 16",
  ]);
  assert.deepEqual(faultsOf(`${HOSTS}cluster:\n  name: game\n  listen: 127.0.0.1:1`), [
    "f.yaml:3:3: cluster.secrets: expected secrets, or tls: anyone could be a peer",
    "f.yaml:3:3: cluster.slot: is missing: that of this node",
    "f.yaml:3:3: cluster.nodes: expected all nodes, each with slot and addr",
  ]);
});

Deno.test("parseConfig() refuses more workers than a node of the cluster can have threads", () => {
  const fault = (workers: unknown, keys = {}) => faultsOf(`${section(keys)}workers: ${workers}`);
  assert.deepEqual(fault(17), ["f.yaml:3:10: workers: expected at most cluster.threads, 16"]);
  assert.deepEqual(fault(3, { threads: 2 }), ["f.yaml:3:10: workers: expected at most cluster.threads, 2"]);
  for (const workers of [16, "auto"]) assert(parsed(`${section()}workers: ${workers}`).config.cluster);
});

Deno.test("an edge needs no hosts, a node does", () => {
  const without = (keys: Record<string, unknown>) => section(keys).slice(HOSTS.length);
  assert.deepEqual(parsed(without(EDGE)).config.hosts, []);
  assert.deepEqual(faultsOf(without({})), [
    "f.yaml:1:1: hosts: expected at least one host, or upstream_option.resolv",
  ]);
});

Deno.test("parseConfig() refuses cluster.listen where a listener or the manager is", () => {
  const listen = (listen: string, more: string) => faultsOf(section({ listen, advertise: "10.0.0.4:1250" }) + more);
  assert.deepEqual(
    listen("127.0.0.1:1", "listen: [{tcp: 'localhost:1'}]").map((fault) => fault.replace(/^.*?: /, "")),
    [
      "cluster.listen: 127.0.0.1:1 is listened on already, by listen[0].tcp",
    ],
  );
  assert.deepEqual(listen("0.0.0.0:1248", "").map((fault) => fault.replace(/^.*?: /, "")), [
    "cluster.listen: 0.0.0.0:1248 is listened on already, by tcp",
  ]);
  assert.deepEqual(listen("127.0.0.1:6620", "manager: 127.0.0.1:6620"), [
    "f.yaml:3:10: manager: 127.0.0.1:6620 is listened on already, by cluster.listen",
  ]);
  assert.deepEqual(listen("0.0.0.0:6620", "manager: 127.0.0.1:6620"), [
    "f.yaml:3:10: manager: 127.0.0.1:6620 cannot be had beside 0.0.0.0:6620 of cluster.listen: take another port",
  ]);
});

Deno.test("parseConfig() warns of a reuse_buffer that is too small for what is carried", () => {
  const warnings = (size: string) => parsed(`${section({})}\nscp: {reuse_buffer: ${size}}\n`).warnings;
  assert.deepEqual(warnings("192KiB").filter((warning) => warning.includes("406")), []);
  assert.match(
    warnings("191KiB").join("\n"),
    /f\.yaml:\d+:21: scp\.reuse_buffer: below 192KiB a slow client whose connection another node carries may meet 406/,
  );
});

Deno.test("parseConfig() warns of secrets without tls but on loopback, and of what another discovery is for", () => {
  const warnings = (keys: Record<string, unknown>) =>
    parsed(section(keys)).warnings.map((warning) => warning.replace(/^f\.yaml:2:\d+: /, ""));
  const clear =
    "cluster.secrets: without tls they hide nothing: whoever is on the way between nodes reads what they carry";
  for (const listen of ["10.0.0.4:1250", ":1250", "[::]:1250"]) assert.deepEqual(warnings({ listen }), [clear], listen);
  for (const listen of ["127.0.0.1:1250", "[::1]:1250", "localhost:1250"]) assert.deepEqual(warnings({ listen }), []);
  assert.deepEqual(warnings({ listen: ":1250", tls: { ca: "a", cert: "b", key: "c" } }), []);
  assert.deepEqual(warnings({ ...DNS, slot: 1, nodes: [] }).toSorted(), [
    "cluster.nodes: has no effect with discovery: dns",
    "cluster.slot: has no effect with discovery: dns",
  ]);
  assert.deepEqual(warnings({ dns: DNS.dns, redis: REDIS.redis }).toSorted(), [
    "cluster.dns: has no effect with discovery: static",
    "cluster.redis: has no effect with discovery: static",
  ]);
});

Deno.test("idsOfThread() is what the bits that tell an owner leave of 32", () => {
  for (const [slots, threads, ids] of [[64, 16, 1_048_576], [256, 16, 262_144], [1, 1, 1_073_741_824]] as const) {
    assert.equal(idsOfThread({ slots, threads }), ids);
    assert.equal(2 ** (32 - ownerBits(layoutOf({ slots, threads }))), ids);
  }
});

Deno.test("parseConfig() names the key of a file of cluster.tls that cannot be used", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [text, none] = [`${dir}/text.pem`, `${dir}/none.pem`];
    await Deno.writeTextFile(text, "no certificate");
    const faults = (ca: string, cert: string, key: string) => {
      try {
        parseConfig(section({ tls: { ca, cert, key } }), "f.yaml", readPair, readCa);
      } catch (error) {
        return (error as ConfigError).faults.map((fault) => fault.replace(/^f\.yaml:2:\d+: /, ""));
      }
    };
    const missing = (what: string) => `Cannot read the ${what} ${none}: there is no such file`;
    const noCa = "cluster.tls.ca: Cannot trust what ca has: it is no certificate in PEM";
    assert.deepEqual(faults(none, none, text), [
      `cluster.tls.ca: ${missing("certificate")}`,
      `cluster.tls.cert: ${missing("certificate")}`,
    ]);
    assert.deepEqual(faults(text, text, none), [noCa, `cluster.tls.key: ${missing("key")}`]);
    const [pair, ...others] = faults(text, text, text)!;
    assert(pair!.startsWith(`cluster.tls: ${text} and ${text} are no certificate with its key: `), pair);
    assert.deepEqual(others, [noCa]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
