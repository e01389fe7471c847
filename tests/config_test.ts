import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClusterOptions, type Config, ConfigError, formatConfig, parseConfig } from "../lib/config.ts";
import { ENGINES } from "../lib/config/engines.ts";
import { jsonSchema } from "../lib/config/schema.ts";
import stored from "../lib/config/schema.json" with { type: "json" };
import shipped from "../config.yaml" with { type: "text" };

const HOSTS = "hosts: [{addr: builtin:echo}]\n";

function faultsOf(text: string): readonly string[] {
  try {
    parseConfig(text, "f.yaml");
  } catch (error) {
    assert(error instanceof ConfigError, String(error));
    assert.equal(error.message, error.faults.join("\n"));
    return error.faults;
  }
  assert.fail(`no fault was found in ${text}`);
}

const KEEP_ALIVE = { keepalive: true, keepaliveInterval: 60_000, keepaliveProbes: 3, ackTimeout: 60_000 };

const parsed = (text: string): Config => parseConfig(text, "f.yaml").config;

Deno.test("parseConfig() fills in every default", () => {
  assert.deepEqual(parsed(HOSTS), {
    listen: [{ hostname: "0.0.0.0", port: 1248, dialect: "goscon", acceptProxy: false, trusted: [] }],
    managerToken: "",
    managerAllow: [],
    scp: {
      version: 2,
      handshakeTimeout: 30_000,
      reuseTime: 30_000,
      reuseBuffer: 262_144,
      inFlight: "bounded",
      v2: {
        reuseTime: 300_000,
        window: 262_144,
        cache: 1_048_576,
        pingInterval: 15_000,
        pingTimeout: 10_000,
        halfOpenTimeout: 0,
      },
    },
    tcpOption: { readTimeout: 0, backlog: 4096, ...KEEP_ALIVE },
    upstreamOption: {
      net: "tcp",
      balance: "random",
      ...KEEP_ALIVE,
      ackTimeout: 0,
      connectTimeout: 5000,
      announce: "none",
      sprotoType: 0,
      ignoreFlag: false,
    },
    hosts: [{
      name: "",
      addr: { kind: "builtin", name: "echo" },
      weight: 100,
      backup: false,
      drain: false,
      maxSessions: 0,
    }],
    limits: {
      sessions: 0,
      sessionsPerIp: 0,
      newPerSecondPerIp: 0,
      handshakes: 0,
      resumeFailuresPerIp: 0,
      cacheBytes: "auto",
    },
    io: "auto",
    workers: "auto",
    allow: [],
    deny: [],
    drainTimeout: 60_000,
    shutdownTimeout: 5000,
    upgradeTimeout: 30_000,
    log: { level: "info", format: "text" },
  });
});

Deno.test("parseConfig() takes the shipped configuration without a warning", () => {
  const { config, warnings } = parseConfig(shipped, "config.yaml");
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.listen.map(({ port, dialect }) => [port, dialect]), [[1248, "goscon"], [1249, "plain"]]);
});

Deno.test("parseConfig() takes the shipped configuration with every key that it only mentions", () => {
  const everything = shipped.replaceAll(/^# ( *(?:[a-z_0-9]+:(?= |$)|#).*)$/gm, "$1");
  const { config, warnings } = parseConfig(everything, "config.yaml");
  assert.deepEqual(warnings, []);
  assert.equal(config.upstreamOption.resolv?.port, 11248);
  assert.deepEqual(config.scp, parsed(HOSTS).scp);
});

/** As goscon v1.1 ships it, misspelt weight and all. */
const OF_GOSCON = `manager: 127.0.0.1:6620
tcp: 0.0.0.0:1248
kcp: 0.0.0.0:1248
scp:
  handshake_timeout: 30
  reuse_time: 30
  reuse_buffer: 65536
tcp_option:
  read_timeout: 0
  keepalive: true
  keepalive_interval: 60
kcp_option:
  reuseport: 0
  read_timeout: 60
upstream_option:
  net: tcp
  resolv:
    prefix: pre
    suffix: .suf
    port: "3000"
    pattern: ^[a-z]+$
hosts:
  - name: test1
    addr: 127.0.0.1:11248
    weigh: 100
  - addr: ":1251"
    weight: 0
`;

Deno.test("parseConfig() takes a file of goscon, and warns of what has no effect, or a bad one", () => {
  const { config, warnings } = parseConfig(OF_GOSCON, "f.yaml");
  assert.deepEqual(config.listen.map(({ port, dialect, kcp }) => [port, dialect, kcp?.readTimeout]), [
    [1248, "goscon", undefined],
    [1248, "goscon", 60_000],
  ]);
  assert.deepEqual(config.upstreamOption.resolv, { prefix: "pre", suffix: ".suf", port: 3000, pattern: "^[a-z]+$" });
  assert.deepEqual(config.hosts.map(({ name, addr, weight }) => ({ name, addr, weight })), [
    { name: "test1", addr: { kind: "tcp", hostname: "127.0.0.1", port: 11248 }, weight: 100 },
    { name: "", addr: { kind: "tcp", hostname: "127.0.0.1", port: 1251 }, weight: 100 },
  ]);
  assert.deepEqual(warnings, [
    "f.yaml:7:17: scp.reuse_buffer: with in_flight: bounded a client gets about 655 kB/s over 50 ms; " +
    "with 256KiB 2621 kB/s",
    "f.yaml:25:12: hosts[0].weigh: has no effect; did you mean weight?",
  ]);
});

Deno.test("parseConfig() tells all faults at once, each with its place, and what was expected", () => {
  const text = `tpc: 1
scp:
  reuse_tme: 5
  handshake_timeout: soon
  reuse_buffer: 64K
listen: 5
hosts:
  - addr: 5
    weight: heavy
  - name: a b
  - 7
upstream_option: {net: udp, connect_timeout: 0, resolv: {port: 70000, pattern: "["}}
kcp_option: 5
shutdown_timeout: -1
tcp_option: {keepalive: si}
log: {level: loud}
`;
  const time = "a number of seconds, or one with its unit: 500ms 30s 5m 1h";
  assert.deepEqual(faultsOf(text), [
    "f.yaml:1:1: tpc: unknown key; did you mean tcp?",
    "f.yaml:3:3: scp.reuse_tme: unknown key; did you mean reuse_time?",
    `f.yaml:4:22: scp.handshake_timeout: expected ${time}, not "soon"`,
    'f.yaml:5:17: scp.reuse_buffer: expected a number of bytes, or one with its unit: 64KiB 1MiB 1GiB, not "64K"',
    "f.yaml:6:9: listen: expected a list of listeners, not 5",
    'f.yaml:8:11: hosts[0].addr: expected host:port, [IPv6]:port, unix:/path or builtin:echo, not "5"',
    'f.yaml:9:13: hosts[0].weight: expected a weight, a whole number of -2147483648 to 2147483647, not "heavy"',
    "f.yaml:10:5: hosts[1].addr: is missing",
    'f.yaml:10:11: hosts[1].name: expected letters, digits and _, not "a b"',
    "f.yaml:11:5: hosts[2]: expected a map with addr, not 7",
    'f.yaml:12:24: upstream_option.net: expected one of tcp, scp, not "udp"',
    `f.yaml:12:46: upstream_option.connect_timeout: expected ${time}, more than 0, not 0`,
    "f.yaml:12:64: upstream_option.resolv.port: expected a port, 1 to 65535, not 70000",
    "f.yaml:12:80: upstream_option.resolv.pattern: expected a regular expression, as Go has them: missing closing ]: `[`",
    "f.yaml:13:13: kcp_option: expected a map, not 5",
    `f.yaml:14:19: shutdown_timeout: expected ${time}, not -1`,
    'f.yaml:15:25: tcp_option.keepalive: expected true or false, not "si"',
    'f.yaml:16:14: log.level: expected one of debug, info, warning, error, not "loud"',
  ]);
});

Deno.test("parseConfig() tells what is wrong although each value is right", () => {
  const nobody = "expected at least one host, or upstream_option.resolv";
  assert.deepEqual(faultsOf(""), [`f.yaml:1:1: hosts: ${nobody}`]);
  assert.deepEqual(faultsOf("hosts: []"), [`f.yaml:1:8: hosts: ${nobody}`]);
  assert.deepEqual(faultsOf(HOSTS + 'tcp: ""'), ["f.yaml:2:6: tcp: expected at least one listener"]);
  assert.deepEqual(faultsOf(HOSTS + "listen: []"), ["f.yaml:2:9: listen: expected at least one listener"]);
  assert.deepEqual(faultsOf(HOSTS + "tcp: a:1\nlisten: [{tcp: b:1}, {tcp: a:1}]"), [
    "f.yaml:3:28: listen[1].tcp: a:1 is listened on already, by tcp",
  ]);
  assert.equal(parsed(HOSTS + "listen: [{tcp: a:0}, {tcp: a:0}]").listen.length, 2);
});

Deno.test("parseConfig() refuses one address in two spellings, and warns of a wildcard beside one of its addresses", () => {
  const pairs = [
    [":1248", "0.0.0.0:1248"],
    ["localhost:1248", "127.0.0.1:1248"],
    ["127.0.0.1:1248", "127.0.0.1:01248"],
    ["LOCALHOST:1248", "127.1:1248"],
    ["[::1]:1248", "[0:0:0:0:0:0:0:1]:1248"],
    ["A.example:1248", "a.example:1248"],
    ["[::ffff:127.0.0.1]:1248", "127.0.0.1:1248"],
    ["127.0.0.1:1248", "[0:0:0:0:0:FFFF:7f00:1]:1248"],
  ];
  for (const [one, other] of pairs) {
    for (const kind of ["tcp", "ws"]) {
      assert.match(
        faultsOf(`${HOSTS}tcp: "${one}"\nlisten: [{${kind}: "${other}"}]`).join(),
        /^f\.yaml:3:\d+: listen\[0\]\.(tcp|ws): \S+ is listened on already, by tcp$/,
      );
    }
    const text = `${HOSTS}tcp: "${one}"\nmanager_token: t\nmanager: "${other}"`;
    assert.match(faultsOf(text).join(), /^f\.yaml:4:10: manager: \S+ is listened on already, by tcp$/);
    if (one === ":1248") continue;
    assert.deepEqual(faultsOf(`hosts:\n  - addr: "${one}"\n  - addr: "${other}"`), [
      "f.yaml:3:5: hosts[1]: has the name and addr of hosts[0]",
    ]);
  }
  assert.match(
    faultsOf(`${HOSTS}tcp: ":1248"\nlisten: [{tcp: "[::ffff:0.0.0.0]:1248"}]`).join(),
    /\[::ffff:0\.0\.0\.0\]:1248 is listened on already, by tcp$/,
  );
  const warnings = (one: string, other: string) =>
    parseConfig(`${HOSTS}tcp: "${one}:1248"\nlisten: [{tcp: "${other}:1248"}]`, "f.yaml").warnings;
  assert.deepEqual(warnings("", "127.0.0.1"), [
    "f.yaml:3:16: listen[0].tcp: who connects to 127.0.0.1:1248 reaches this, not tcp",
  ]);
  assert.deepEqual(warnings("[::1]", "[::]"), [
    "f.yaml:2:6: tcp: who connects to [::1]:1248 reaches this, not listen[0].tcp",
  ]);
  assert.deepEqual(warnings("[::]", "[::ffff:127.0.0.1]"), [
    "f.yaml:3:16: listen[0].tcp: who connects to [::ffff:127.0.0.1]:1248 reaches this, not tcp",
  ]);
  assert.deepEqual(warnings("[::]", "0.0.0.0"), [
    "f.yaml:3:16: listen[0].tcp: who comes over IPv4 reaches this, not tcp",
  ]);
  assert.deepEqual(warnings("", "[::1]"), []);
});

Deno.test("parseConfig() refuses a manager at an address of a wildcard, and at a wildcard of an address: it shares none", () => {
  const pairs = [["0.0.0.0", "127.0.0.1"], ["[::]", "127.0.0.1"], ["127.0.0.1", "0.0.0.0"], ["[::1]", "[::]"], [
    "0.0.0.0",
    "[::]",
  ]];
  for (const [listener, manager] of pairs) {
    const text = `${HOSTS}tcp: "${listener}:1248"\nmanager: "${manager}:1248"\nmanager_token: t`;
    assert.deepEqual(faultsOf(text), [
      `f.yaml:3:10: manager: ${manager}:1248 cannot be had beside ${listener}:1248 of tcp: take another port`,
    ]);
  }
  assert.deepEqual(faultsOf(`${HOSTS}manager: 127.0.0.1:1248`), [
    "f.yaml:2:10: manager: 127.0.0.1:1248 cannot be had beside 0.0.0.0:1248 of tcp: take another port",
  ]);
  assert.equal(parsed(`${HOSTS}tcp: "[::1]:1248"\nmanager: 127.0.0.1:1248`).manager?.port, 1248);
});

Deno.test("parseConfig() tells what is no YAML, no map, or says a thing twice", () => {
  assert.match(faultsOf("a: [\nb: 1\n").join(), /^f\.yaml:2:1: /);
  assert.deepEqual(faultsOf("- 1"), ["f.yaml:1:1: expected a map, not a list"]);
  assert.deepEqual(faultsOf("5"), ["f.yaml:1:1: expected a map of keys, not 5"]);
  assert.deepEqual(faultsOf(HOSTS + "scp: [1]"), ["f.yaml:2:6: scp: expected a map, not a list"]);
  assert.match(faultsOf(HOSTS + HOSTS).join(), /^f\.yaml:2:1: .*unique/);
  assert.match(faultsOf("hosts:").at(0)!, /^f\.yaml:1:7: hosts: expected at least one host/);
});

Deno.test("parseConfig() takes numbers and booleans as YAML 1.1 and viper write them, and names as they are written", () => {
  const weights = ["25", '"25"', "0x19", "031", "2_5", "+25", "25.0", "2.5e+1", "0b11001"];
  for (const weight of weights) {
    assert.equal(parsed(`hosts: [{addr: ":1", weight: ${weight}}]`).hosts[0]!.weight, 25, weight);
  }
  for (const weight of ["0x", "_1", "1.5", "2 5", "twenty", '""']) {
    assert.match(
      faultsOf(`hosts: [{addr: ":1", weight: ${weight}}]`).join(),
      /^f\.yaml:1:30: hosts\[0\]\.weight: /,
      weight,
    );
  }
  const keepalive = (text: string) => parsed(`${HOSTS}tcp_option: {keepalive: ${text}}`).tcpOption.keepalive;
  for (const yes of ["true", "True", "yes", "on", "y", "1", "2", '"true"', '"1"', "t"]) assert(keepalive(yes), yes);
  for (const no of ["false", "FALSE", "no", "Off", "n", "0", '"false"', '"0"', "F"]) assert(!keepalive(no), no);
  for (const name of ["17", "007", "yes", "1_000", "1e3", "12345678901234567890"]) {
    assert.equal(parsed(`hosts: [{addr: ":1", name: ${name}}]`).hosts[0]!.name, name);
  }
});

Deno.test("parseConfig() warns of a resolv that lets a client name any host", () => {
  const warnings = (resolv: string) => parseConfig(`${HOSTS}upstream_option: {resolv: ${resolv}}`, "f.yaml").warnings;
  const [warning] = warnings("{port: 80}");
  assert.match(warning!, /^f\.yaml:\d+:27: upstream_option\.resolv: without prefix and suffix .* localhost as well$/);
  for (const key of ["prefix: a-", "suffix: .b"]) assert.deepEqual(warnings(`{port: 80, ${key}}`), []);
});

Deno.test("parseConfig() resolves merge keys, also several, and a key of the map itself goes before", () => {
  const { hosts } = parsed(`
Templates:
  a: &a {weight: 7, backup: yes}
  b: &b {weight: 8, Drain: yes}
both: &both [*a, *b]
hosts:
  - {addr: ":1", <<: *a}
  - {<<: [*b, *a], addr: ":2"}
  - {<<: *both, ADDR: ":3", weight: 1}
  - {<<: *a, <<: {drain: true}, addr: ":4"}
`);
  assert.deepEqual(hosts.map(({ weight, backup, drain }) => [weight, backup, drain]), [
    [7, true, false],
    [8, true, true],
    [1, true, true],
    [7, true, true],
  ]);
});

Deno.test("parseConfig() tells where a fault of an alias, a merge key or a key in capitals is", () => {
  const inHost = (text: string) => faultsOf(`hosts:\n  - addr: ":1"\n${text}`);
  assert.deepEqual(inHost("tcp: *a"), ["f.yaml:3:6: *a: no such anchor before it"]);
  assert.deepEqual(inHost("listen: &a [*a]"), ["f.yaml:3:13: *a: it contains itself"]);
  assert.deepEqual(inHost("    <<: 5"), ["f.yaml:3:9: <<: expected a map, or a list of maps, to merge"]);
  assert.deepEqual(inHost("TCP: :1\ntcp: :2"), ["f.yaml:4:1: tcp: is set already: the keys of a map must be unique"]);
  assert.deepEqual(inHost("SCP: {Reuse_Tme: 1}"), ["f.yaml:3:7: scp.reuse_tme: unknown key; did you mean reuse_time?"]);
  assert.deepEqual(inHost("Limits: {Handshakes: few}"), [
    'f.yaml:3:22: limits.handshakes: expected a limit, a whole number of 0 to 2147483647, not "few"',
  ]);
  assert.deepEqual(faultsOf("t: &t {weight: many}\nhosts: [{addr: ':1', <<: *t}]"), [
    'f.yaml:1:16: hosts[0].weight: expected a weight, a whole number of -2147483648 to 2147483647, not "many"',
  ]);
  assert.deepEqual(inHost("templates: {a: 1}"), ["f.yaml:3:1: templates: unknown key"]);
});

Deno.test("parseConfig() takes any number of aliases, also of aliases", () => {
  const again = 't: &a ":5"\nu: &a ":6"\nlisten: [{&k tcp: *a}, {*k : ":7"}]\nv: [&a ":8", *a]\n';
  assert.deepEqual(parsed(HOSTS + again.replace("t: &a", "kcp: &a")).listen.map(({ port }) => port), [5, 6, 7]);
  const levels = Array.from({ length: 30 }, (_, i) => `  - &l${i + 1} [${Array(9).fill(`*l${i}`)}]`).join("\n");
  const hosts = Array.from({ length: 500 }, (_, i) => `  - {<<: *h, name: h${i}}`).join("\n");
  assert.equal(parsed(`t: &h {addr: ":1"}\nl:\n  - &l0 [1]\n${levels}\nhosts:\n${hosts}`).hosts.length, 500);
});

Deno.test("parseConfig() takes keys without a value where goscon has them; without a certificate no TLS is a fault", () => {
  const empty = "tcp:\nkcp:\nmanager:\nscp:\ntcp_option:\nkcp_option:\nupstream_option:\nlimits:\nlog:\n";
  assert.deepEqual(parsed(HOSTS + empty), parsed(HOSTS));
  const keys = "scp: {reuse_time: , reuse_buffer: ~}\ntcp_option: {keepalive: null}\nupstream_option: {resolv: }\n";
  assert.deepEqual(parsed(HOSTS + keys), parsed(HOSTS));
  assert.match(
    faultsOf(`${HOSTS}listen: [{tcp: ":1", tls: }]`).join(),
    /listen\[0\]\.tls: expected a map with cert and key/,
  );
  assert.match(faultsOf(`${HOSTS}allow:`).join(), /allow: expected a list/);
  assert.equal(parsed('hosts: {name: one, addr: ":1"}').hosts.length, 1);
});

Deno.test("parseConfig() reads each form of an address", () => {
  const addressOf = (addr: string) => parsed(`hosts: [{addr: "${addr}"}]`).hosts[0]!.addr;
  assert.deepEqual(addressOf("game.example:80"), { kind: "tcp", hostname: "game.example", port: 80 });
  assert.deepEqual(addressOf("[2001:db8::1]:80"), { kind: "tcp", hostname: "2001:db8::1", port: 80 });
  assert.deepEqual(addressOf("unix:/run/game.sock"), { kind: "unix", path: "/run/game.sock" });
  assert.deepEqual(addressOf(":80"), { kind: "tcp", hostname: "127.0.0.1", port: 80 });
  for (
    const bad of [
      "",
      "game",
      "game:",
      "game:65536",
      "2001:db8::1:80",
      "[::1]",
      "unix:",
      "builtin:sink",
      "a b:1",
      "http://a:1",
    ]
  ) {
    assert.match(
      faultsOf(`hosts: [{addr: "${bad}"}]`).join(),
      /^f\.yaml:1:16: hosts\[0\]\.addr: expected host:port/,
      bad,
    );
  }
  assert.deepEqual(parsed(HOSTS + 'tcp: ":5"').listen[0]!.hostname, "0.0.0.0");
  assert.match(faultsOf(HOSTS + "tcp: unix:/a").join(), /to listen on|expected host:port/);
  assert.match(
    faultsOf(HOSTS + "listen: [{tcp: unix:/a}]").join(),
    /listen\[0\]\.tcp: expected host:port.*to listen on/,
  );
});

Deno.test("parseConfig() reads times and sizes with and without units", () => {
  const time = (text: string) => parsed(HOSTS + `shutdown_timeout: ${text}`).shutdownTimeout;
  assert.deepEqual(["0", "2", "0.5", "500ms", "1.5s", "5m", "1h"].map(time), [
    0,
    2000,
    500,
    500,
    1500,
    300_000,
    3_600_000,
  ]);
  const size = (text: string) => parsed(HOSTS + `scp: {reuse_buffer: ${text}}`).scp.reuseBuffer;
  assert.deepEqual(["1", "64KiB", "1.5MiB", "1GiB"].map(size), [1, 65536, 1572864, 2 ** 30]);
  for (const bad of ["0", "1.5", "2GiB", "64KB", "-1", "many", "[1]"]) {
    assert.match(
      faultsOf(HOSTS + `scp: {reuse_buffer: ${bad}}`).join(),
      /^f\.yaml:2:21: scp\.reuse_buffer: expected/,
      bad,
    );
  }
});

Deno.test("parseConfig() refuses times that no timer can run for", () => {
  const keys = [
    "scp: {handshake_timeout: TIME}",
    "scp: {reuse_time: TIME}",
    "scp: {v2: {reuse_time: TIME}}",
    "scp: {v2: {ping_interval: TIME}}",
    "scp: {v2: {ping_timeout: TIME}}",
    "scp: {v2: {half_open_timeout: TIME}}",
    "tcp_option: {read_timeout: TIME}",
    "tcp_option: {keepalive_interval: TIME}",
    "upstream_option: {connect_timeout: TIME}",
    "upstream_option: {check: {interval: TIME}}",
    "upstream_option: {check: {timeout: TIME}}",
    "drain_timeout: TIME",
    "shutdown_timeout: TIME",
    "upgrade_timeout: TIME",
  ];
  for (const key of keys) {
    for (const long of ["2147483648ms", "2147484", "597h"]) {
      const faults = faultsOf(HOSTS + key.replace("TIME", long));
      assert.equal(faults.length, 1, key);
      assert.match(faults[0]!, /^f\.yaml:2:\d+: [a-z_.0-9]+: expected at most 24 days/, key);
    }
    parsed(HOSTS + key.replace("TIME", "2147483647ms"));
  }
});

Deno.test("parseConfig() refuses what is no address or network, a manager that anybody could reach, and unbelievable proxies", () => {
  for (const bad of ["10.0.0.0/33", "10.0.0", "::/129", "name", "10.0.0.0/8/8", "5"]) {
    assert.match(faultsOf(`${HOSTS}deny: ["${bad}"]`).join(), /^f\.yaml:2:8: deny\[0\]: expected an IP address/, bad);
    assert.match(faultsOf(`${HOSTS}manager_allow: ["${bad}"]`).join(), /: manager_allow\[0\]: expected an IP address/);
  }
  for (const exposed of ["0.0.0.0:6620", ":6620", "[::]:6620", "10.0.0.1:6620"]) {
    assert.match(faultsOf(`${HOSTS}manager: "${exposed}"`).join(), /^f\.yaml:2:10: manager: expected manager_token/);
    assert.equal(parsed(`${HOSTS}manager: "${exposed}"\nmanager_token: secret`).manager?.port, 6620);
  }
  for (const local of ["127.0.0.1:6620", "127.8.8.8:6620", "[::1]:6620", "localhost:6620"]) {
    assert.equal(parsed(`${HOSTS}manager: "${local}"`).manager?.port, 6620);
  }
  const proxied = (trusted: string) => `${HOSTS}listen: [{tcp: ":1", accept_proxy: true${trusted}}]`;
  assert.match(faultsOf(proxied("")).join(), /^f\.yaml:2:\d+: listen\[0\]\.accept_proxy: expected `trusted`/);
  assert.deepEqual(parsed(proxied(", trusted: [10.0.0.0/8]")).listen[0]?.trusted, ["10.0.0.0/8"]);
});

Deno.test("parseConfig() reads a listener of WebSockets", () => {
  const [bare, full] = parsed(`${HOSTS}listen:
  - ws: ":8248"
  - {ws: "[::1]:8249", path: /a/b, dialect: plain, origins: ["https://a.example:8443"], ping_interval: 0, trusted: ["::1"]}
`).listen;
  const common = { acceptProxy: false, trusted: [] };
  assert.deepEqual(bare, {
    ...common,
    hostname: "0.0.0.0",
    port: 8248,
    dialect: "goscon",
    webSocket: { path: "/scp", origins: [], pingInterval: 30_000 },
  });
  assert.deepEqual(full, {
    ...common,
    hostname: "::1",
    port: 8249,
    dialect: "plain",
    trusted: ["::1"],
    webSocket: { path: "/a/b", origins: ["https://a.example:8443"], pingInterval: 0 },
  });
});

Deno.test("parseConfig() tells what is wrong with a listener of WebSockets", () => {
  const cases: [string, RegExp][] = [
    [`{ws: ":1", tcp: ":2"}`, /^f\.yaml:2:15: listen\[0\]\.ws: a listener is tcp, ws or kcp, not both tcp and ws$/],
    [`{tcp: ":1"}, {dialect: plain}`, /^f\.yaml:2:23: listen\[1\]: expected tcp, ws or kcp: where to listen$/],
    [`{tcp: ":1", path: /scp}`, /^f\.yaml:2:28: listen\[0\]\.path: only a listener of WebSockets \(ws\) has this$/],
    [`{tcp: ":1", origins: []}`, /listen\[0\]\.origins: only a listener/],
    [`{tcp: ":1", ping_interval: 1}`, /listen\[0\]\.ping_interval: only a listener/],
    [`{ws: ":1", path: scp}`, /^f\.yaml:2:27: listen\[0\]\.path: expected a path of a URL, from its \/, not "scp"$/],
    [`{ws: ":1", path: "/scp?v=1"}`, /listen\[0\]\.path: expected a path/],
    [
      `{ws: ":1", origins: [game.example]}`,
      /listen\[0\]\.origins\[0\]: expected an origin, as https:\/\/game\.example, not/,
    ],
    [`{ws: ":1", origins: ["https://game.example/"]}`, /listen\[0\]\.origins\[0\]: expected an origin/],
    [`{ws: ":1", origins: https://game.example}`, /listen\[0\]\.origins: expected a list of origins/],
    [`{ws: ":1", accept_proxy: true, trusted: ["::1"]}`, /listen\[0\]\.accept_proxy: not with ws/],
    [`{tcp: ":1"}, {ws: ":1"}`, /listen\[1\]\.ws: :1 is listened on already, by listen\[0\]\.tcp/],
  ];
  for (const [listen, fault] of cases) {
    const faults = faultsOf(`${HOSTS}listen: [${listen}]`);
    assert.equal(faults.length, 1, `${listen}: ${faults}`);
    assert.match(faults[0]!, fault);
  }
});

Deno.test("parseConfig() takes a certificate and its key from who can read them, and tells where they are named when not", () => {
  const text = `${HOSTS}listen:\n  - {tcp: ":1"}\n  - {tcp: ":2", tls: {cert: c.pem, key: k.pem}}`;
  const { config } = parseConfig(text, "f.yaml", (cert, key) => ({ cert: `in ${cert}`, key: `in ${key}` }));
  assert.equal(config.listen[0]?.tls, undefined);
  assert.deepEqual(config.listen[1]?.tls, { certFile: "c.pem", keyFile: "k.pem", cert: "in c.pem", key: "in k.pem" });
  const bad = () => {
    throw new Error("the key is not that of the certificate");
  };
  assert.throws(
    () => parseConfig(text, "f.yaml", bad),
    /^ConfigError: f\.yaml:4:\d+: listen\[1\]\.tls: the key is not/,
  );
});

Deno.test("parseConfig() takes the public URL of a listener in its scheme, and in that of TLS which something in front may end", () => {
  const [tls, long] = ["tls: {cert: c, key: k}", `ws://a.example/${"é".repeat(120)}`];
  const right = [
    ['tcp: ":1"', "tcp://a.example:1248"],
    ['tcp: ":1"', "tls://[2001:db8::1]:443"],
    ['ws: ":1"', "ws://a.example/scp"],
    ['ws: ":1"', "wss://a.example:8443"],
    ['ws: ":1"', long],
    [`tcp: ":1", ${tls}`, "tls://a.example:1248"],
    [`ws: ":1", ${tls}`, "wss://a.example/scp"],
    ['kcp: ":1"', "kcp://a.example:1248"],
  ];
  for (const [entry, url] of right) {
    assert.equal(parsed(`${HOSTS}listen: [{${entry}, public: "${url}"}]`).listen[0]!.public, url);
  }
  const wrong = [
    ['tcp: ":1"', "ws://a.example/scp", "expected tcp://HOST:PORT, tls://HOST:PORT"],
    ['tcp: ":1"', "tcp://a.example", "expected tcp://HOST:PORT, tls://HOST:PORT"],
    ['tcp: ":1"', "", "expected tcp://HOST:PORT, tls://HOST:PORT"],
    ['ws: ":1"', "tcp://a.example:1", "expected ws://HOST/PATH, wss://HOST/PATH"],
    ['ws: ":1"', "https://a.example/", "expected ws://HOST/PATH, wss://HOST/PATH"],
    [`tcp: ":1", ${tls}`, "tcp://a.example:1248", "expected tls://HOST:PORT"],
    [`ws: ":1", ${tls}`, "ws://a.example/scp", "expected wss://HOST/PATH"],
    ['kcp: ":1"', "tcp://a.example:1248", "expected kcp://HOST:PORT"],
    ['tcp: ":1"', "kcp://a.example:1248", "expected tcp://HOST:PORT, tls://HOST:PORT"],
    ['ws: ":1"', `${long}a`, "it has 256 bytes, and there is room for 255"],
  ];
  for (const [entry, url, fault] of wrong) {
    const at = 10 + `{${entry}, public: `.length;
    assert.deepEqual(faultsOf(`${HOSTS}listen: [{${entry}, public: "${url}"}]`), [
      `f.yaml:2:${at}: listen[0].public: ${fault}`,
    ]);
  }
});

Deno.test("formatConfig() writes what parseConfig() reads", () => {
  const name = fc.stringMatching(/^[a-zA-Z_0-9]{0,8}$/);
  const port = fc.integer({ min: 1, max: 65534 });
  const addr = fc.oneof(
    fc.record({ kind: fc.constant("tcp" as const), hostname: fc.constantFrom("10.0.0.1", "a.example", "::1"), port }),
    fc.record({ kind: fc.constant("unix" as const), path: fc.stringMatching(/^\/[a-z .]{1,10}$/) }),
    fc.constant({ kind: "builtin" as const, name: "echo" as const }),
  );
  const time = fc.integer({ min: 1, max: 10_000_000 });
  const count = fc.integer({ min: 1, max: 1000 });
  const resolv = fc.record({ prefix: name, suffix: name, port, pattern: fc.constantFrom("", "^a+$") });
  const keepAlive = {
    keepalive: fc.boolean(),
    keepaliveInterval: time,
    keepaliveProbes: fc.integer({ min: 1, max: 127 }),
    ackTimeout: time,
  };
  const place = fc.record({ hostname: fc.constantFrom("192.0.2.9", "2001:db8::9", "b.example"), port });
  const cluster: fc.Arbitrary<ClusterOptions> = fc.record({
    name: fc.stringMatching(/^[a-zA-Z_0-9.-]{1,64}$/),
    role: fc.constant("node" as const),
    slots: fc.constantFrom(4, 64),
    threads: fc.constant(64),
    discovery: fc.constantFrom("static" as const, "dns" as const, "redis" as const),
    slot: fc.nat(3),
    nodes: fc.uniqueArray(fc.nat(3), { minLength: 1 }).chain((slots) =>
      fc.tuple(...slots.map((slot) => place.map((place) => ({ slot, ...place }))))
    ),
    dns: fc.record({ service: fc.constantFrom("a", "b.c"), port }),
    redis: fc.record({ url: fc.webUrl().map((url) => url.replace(/^\w+/, "redis")), prefix: name, lease: time }),
    listen: fc.record({ hostname: fc.constantFrom("0.0.0.0", "127.0.0.2"), port: fc.constant(0) }),
    advertise: place,
    serves: fc.array(fc.constantFrom("", "^a$", "[0-9]+")),
    weight: count,
    tls: fc.constant({ caFile: "c.pem", certFile: "a.pem", keyFile: "b.pem", name: "peer", ca: "", cert: "", key: "" }),
    secrets: fc.array(fc.string({ minLength: 16 })),
    stateDir: fc.stringMatching(/^\/[a-z .]{1,10}$/),
    drainDelay: time,
    drainRate: count,
  });
  const segments = fc.integer({ min: 1, max: 65535 });
  const kcp = fc.record({
    mtu: fc.integer({ min: 58, max: 1500 }),
    interval: fc.integer({ min: 1, max: 5000 }),
    resend: fc.nat(65535),
    noDelay: fc.boolean(),
    congestion: fc.boolean(),
    sendWindow: segments,
    receiveWindow: segments,
    readTimeout: fc.nat(10_000_000),
    fec: fc.record({ data: fc.integer({ min: 1, max: 128 }), parity: fc.integer({ min: 1, max: 128 }) }),
    readBuffer: count,
    writeBuffer: count,
  });
  // On the port of one of TCP as well.
  const kcpListens = fc.uniqueArray(fc.record({ port, kcp }), { maxLength: 2, selector: ({ port }) => port }).map((
    each,
  ) =>
    each.map(({ port, kcp: { fec, readBuffer, writeBuffer, ...kcp } }) => ({
      hostname: "::1",
      port,
      dialect: port % 2 ? "goscon" as const : "plain" as const,
      acceptProxy: false,
      trusted: [],
      kcp: { ...kcp, ...(port % 3 === 0 && { fec }), ...(port % 5 === 0 && { readBuffer, writeBuffer }) },
      ...(port % 7 === 0 && { public: `kcp://a.example:${port}` }),
    }))
  );
  const config: fc.Arbitrary<Config> = fc.record({
    listen: fc.uniqueArray(port, { minLength: 1, maxLength: 3 }).map((ports) =>
      ports.map((port) => ({
        hostname: "::1",
        port,
        dialect: port % 2 ? "goscon" as const : "plain" as const,
        acceptProxy: port % 3 === 0,
        trusted: port % 3 === 0 ? ["10.0.0.0/8", "fe80::/10"] : [],
        ...(port % 3 !== 0 && port % 5 === 0 && { tls: { certFile: "a.pem", keyFile: "b.pem", cert: "", key: "" } }),
        ...(port % 7 === 0 && { public: `${port % 3 === 1 ? "wss" : "tls"}://a.example:${port}` }),
        ...(port % 3 === 1 && {
          webSocket: { path: "/a/b", origins: port % 2 ? ["https://a.example"] : [], pingInterval: port },
        }),
      }))
    ).chain((listens) => kcpListens.map((others) => [...listens, ...others])),
    // No listener's: one address twice is a fault.
    manager: fc.record({ hostname: fc.constantFrom("127.0.0.1", "::1"), port: fc.constant(65535) }),
    managerToken: name,
    managerAllow: fc.constantFrom([], ["192.0.2.1", "2001:db8::/32"]),
    scp: fc.record({
      version: fc.constantFrom(1 as const, 2 as const),
      handshakeTimeout: time,
      reuseTime: time,
      reuseBuffer: fc.integer({ min: 1, max: 2 ** 30 }),
      inFlight: fc.constantFrom("bounded" as const, "unbounded" as const),
      v2: fc.record({
        reuseTime: fc.nat(10_000_000),
        window: fc.integer({ min: 4096, max: 2 ** 24 }),
        cache: fc.integer({ min: 65536, max: 2 ** 30 }),
        pingInterval: fc.nat(10_000_000),
        pingTimeout: time,
        halfOpenTimeout: fc.nat(10_000_000),
      }),
    }),
    tcpOption: fc.record({ readTimeout: time, backlog: count, ...keepAlive }),
    upstreamOption: fc.record({
      net: fc.constantFrom("tcp" as const, "scp" as const),
      balance: fc.constantFrom("random" as const, "least_conn" as const, "round_robin" as const, "source" as const),
      check: fc.record({ interval: time, timeout: time, rise: count, fall: count }),
      ...keepAlive,
      connectTimeout: time,
      announce: fc.constantFrom("none" as const, "sproto" as const, "proxy_v1" as const, "proxy_v2" as const),
      sprotoType: fc.nat(),
      ignoreFlag: fc.boolean(),
      resolv,
    }, {
      requiredKeys: [
        "net",
        "balance",
        "keepalive",
        "keepaliveInterval",
        "keepaliveProbes",
        "ackTimeout",
        "connectTimeout",
        "announce",
        "sprotoType",
        "ignoreFlag",
      ],
    }) as fc.Arbitrary<
      Config["upstreamOption"]
    >,
    hosts: fc.uniqueArray(
      fc.record({ name, addr, weight: count, backup: fc.boolean(), drain: fc.boolean(), maxSessions: fc.nat() }),
      { minLength: 1, maxLength: 3, selector: ({ name, addr }) => `${name} ${JSON.stringify(addr)}` },
    ),
    limits: fc.record({
      sessions: fc.nat(),
      sessionsPerIp: fc.nat(),
      newPerSecondPerIp: fc.nat(),
      handshakes: fc.nat(),
      resumeFailuresPerIp: fc.nat(),
      cacheBytes: fc.oneof(fc.nat(), fc.constant("auto" as const)),
    }),
    cluster,
    io: fc.constantFrom(...ENGINES),
    workers: fc.constantFrom("auto" as const, 1, 64),
    allow: fc.constantFrom([], ["192.0.2.1"]),
    deny: fc.constantFrom([], ["192.0.2.0/24", "::/0"]),
    drainTimeout: time,
    shutdownTimeout: time,
    upgradeTimeout: time,
    log: fc.record({
      level: fc.constantFrom("debug" as const, "info" as const, "warning" as const, "error" as const),
      format: fc.constantFrom("text" as const, "json" as const),
    }),
  });
  fc.assert(fc.property(config, (value) => {
    // A record of fast-check may have no prototype.
    assert.deepEqual(parsed(formatConfig(value)), JSON.parse(JSON.stringify(value)));
  }));
});

Deno.test("lib/config/schema.json is what deno task schema writes", () => {
  assert.deepEqual(stored, JSON.parse(JSON.stringify(jsonSchema())));
});

Deno.test("parseConfig() warns of a reuse_buffer that makes clients slow, where what is on its way is bounded", () => {
  const warningsOf = (scp: string) =>
    parseConfig(`hosts: [{addr: "builtin:echo"}]\nscp:\n  ${scp}\n`, "f.yaml").warnings;
  assert.deepEqual(warningsOf("reuse_buffer: 64KiB"), [
    "f.yaml:3:17: scp.reuse_buffer: with in_flight: bounded a client gets about 655 kB/s over 50 ms; " +
    "with 256KiB 2621 kB/s",
  ]);
  assert.deepEqual(warningsOf("reuse_buffer: 262143").length, 1);
  assert.deepEqual(warningsOf("reuse_buffer: 262144"), []);
  assert.deepEqual(warningsOf("reuse_time: 1s"), []);
  assert.deepEqual(warningsOf("{reuse_buffer: 64KiB, in_flight: unbounded}"), []);
});

Deno.test("parseConfig() reads what is for version 2, in each form, up to its bounds", () => {
  const scp = (text: string) => parsed(`${HOSTS}scp: ${text}`).scp;
  const versions = ["1", '"1"', "0x1", "2", "2.0"].map((version) => scp(`{version: ${version}}`).version);
  assert.deepEqual(versions, [1, 1, 1, 2, 2]);
  const times = "reuse_time: 0, ping_interval: 0, ping_timeout: 1ms, half_open_timeout: 1.5";
  assert.deepEqual(scp(`{v2: {${times}, window: 4096, cache: 65536}}`).v2, {
    reuseTime: 0,
    window: 4096,
    cache: 65536,
    pingInterval: 0,
    pingTimeout: 1,
    halfOpenTimeout: 1500,
  });
  const { window, cache, reuseTime } = scp("{V2: {window: 16MiB, Cache: 1GiB}}").v2;
  assert.deepEqual([window, cache, reuseTime], [16_777_216, 1_073_741_824, 300_000]);
  assert.deepEqual(scp("{v2: }"), scp("{}"));
});

Deno.test("parseConfig() tells what is wrong with what is for version 2", () => {
  const time = "a number of seconds, or one with its unit: 500ms 30s 5m 1h";
  const size = "a number of bytes, or one with its unit: 64KiB 1MiB 1GiB";
  for (const version of ["0", "3", "1.5", "two", "[2]"]) {
    const found = /^f\.yaml:2:16: scp\.version: expected 1 or 2, not /;
    assert.match(faultsOf(`${HOSTS}scp: {version: ${version}}`).join(), found, version);
  }
  assert.deepEqual(faultsOf(HOSTS + "scp: {v2: 2}"), [
    "f.yaml:2:11: scp.v2: expected a map, not 2",
  ]);
  const text = `scp:
  v2:
    reuse_time: long
    window: 4095
    cache: 65535
    ping_interval: -1
    ping_timeout: 0
    half_open_timeout: soon
    pong_timeout: 1
`;
  assert.deepEqual(faultsOf(HOSTS + text), [
    `f.yaml:4:17: scp.v2.reuse_time: expected ${time}, not "long"`,
    "f.yaml:5:13: scp.v2.window: expected at least 4KiB",
    "f.yaml:6:12: scp.v2.cache: expected at least 64KiB",
    `f.yaml:7:20: scp.v2.ping_interval: expected ${time}, not -1`,
    `f.yaml:8:19: scp.v2.ping_timeout: expected ${time}, more than 0, not 0`,
    `f.yaml:9:24: scp.v2.half_open_timeout: expected ${time}, not "soon"`,
    "f.yaml:10:5: scp.v2.pong_timeout: unknown key; did you mean ping_timeout?",
  ]);
  assert.deepEqual(faultsOf(HOSTS + "scp: {v2: {window: 16777217, cache: 1073741825}}"), [
    "f.yaml:2:20: scp.v2.window: expected at most 16MiB",
    "f.yaml:2:37: scp.v2.cache: expected at most 1GiB",
  ]);
  assert.deepEqual(faultsOf(HOSTS + "scp: {v2: {window: 4KB}}"), [
    `f.yaml:2:20: scp.v2.window: expected ${size}, not "4KB"`,
  ]);
});

Deno.test("parseConfig() warns of a ping_timeout that takes clients for lost which are not, where it has an effect", () => {
  const warningsOf = (scp: string) => parseConfig(`${HOSTS}scp: ${scp}\n`, "f.yaml").warnings;
  assert.deepEqual(warningsOf("{v2: {ping_timeout: 2999ms}}"), [
    "f.yaml:2:26: scp.v2.ping_timeout: below 3s a client whose network is slow for a moment is taken for lost",
  ]);
  assert.deepEqual(warningsOf("{v2: {ping_timeout: 3}}"), []);
  assert.deepEqual(warningsOf("{v2: {ping_timeout: 1, ping_interval: 0}}"), []);
  assert.deepEqual(warningsOf("{version: 1, v2: {ping_timeout: 1}}"), []);
});

Deno.test("parseConfig() takes read_timeout without a warning: clients of version 1 may come whatever scp.version is", () => {
  const { config, warnings } = parseConfig(`${HOSTS}tcp_option: {read_timeout: 60}`, "f.yaml");
  assert.deepEqual([config.tcpOption.readTimeout, warnings], [60_000, []]);
});
