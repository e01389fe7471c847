import assert from "node:assert/strict";
import { type Config, ConfigError, parseConfig } from "../../lib/config.ts";

const HOSTS = 'hosts: [{addr: ":1"}]\n';

function parsed(text: string): Config {
  const { config, warnings } = parseConfig(HOSTS + text, "f.yaml");
  assert.deepEqual(warnings, []);
  return config;
}

function faultsOf(text: string): readonly string[] {
  try {
    parseConfig(HOSTS + text, "f.yaml");
  } catch (error) {
    assert(error instanceof ConfigError);
    return error.faults;
  }
  return [];
}

/** What goscon v1.1 has by default. */
const DEFAULTS = {
  mtu: 1400,
  interval: 10,
  resend: 2,
  noDelay: true,
  congestion: false,
  sendWindow: 2048,
  receiveWindow: 2048,
  readTimeout: 60_000,
  readBuffer: 4_194_304,
  writeBuffer: 4_194_304,
};

Deno.test("a listener of KCP has goscon's defaults, and every key of it is read", () => {
  const [bare, whole] = parsed(`listen:
  - kcp: :1248
  - kcp: "[::1]:1250"
    dialect: plain
    mtu: 58
    interval: 20ms
    resend: 0
    nodelay: no
    congestion: yes
    send_window: 32
    receive_window: 65535
    fec: { data: 250, parity: 6 }
    read_timeout: 0
    read_buffer: 0
    write_buffer: 1MiB
    public: kcp://a.example:1250
`).listen;
  const listen = { dialect: "goscon", acceptProxy: false, trusted: [] };
  assert.deepEqual(bare, { ...listen, hostname: "0.0.0.0", port: 1248, kcp: DEFAULTS });
  assert.deepEqual(whole, {
    ...listen,
    hostname: "::1",
    port: 1250,
    dialect: "plain",
    kcp: {
      mtu: 58,
      interval: 20,
      resend: 0,
      noDelay: false,
      congestion: true,
      sendWindow: 32,
      receiveWindow: 65535,
      fec: { data: 250, parity: 6 },
      readTimeout: 0,
      writeBuffer: 1_048_576,
    },
    public: "kcp://a.example:1250",
  });
});

Deno.test("goscon's kcp is a listener, beside that of TCP which it has by default, with what kcp_option says", () => {
  const listens = (text: string) => parsed(text).listen.map(({ hostname, port, kcp }) => ({ hostname, port, kcp }));
  const [tcp, kcp] = [{ hostname: "0.0.0.0", port: 1248, kcp: undefined }, { hostname: "10.0.0.1", port: 1248 }];
  assert.deepEqual(listens("kcp: 10.0.0.1:1248"), [tcp, { ...kcp, kcp: DEFAULTS }]);
  assert.deepEqual(listens('tcp: ""\nkcp: 10.0.0.1:1248'), [{ ...kcp, kcp: DEFAULTS }]);
  assert.deepEqual(listens('kcp: ""\nkcp_option: {opt_mtu: 500}'), [tcp]);
  const listen = 'listen: [{ws: ":8248"}]\n';
  assert.deepEqual(listens(`${listen}KCP: 10.0.0.1:1248`).map(({ port }) => port), [1248, 8248]);
  const everything = `kcp: 10.0.0.1:1248
kcp_option:
  reuseport: 4
  read_timeout: "90"
  read_buffer: 65536
  write_buffer: 0
  fec_data_shards: 3
  fec_parity_shards: 1
  OPT_MTU: 1200
  opt_interval: 5
  opt_resend: 3
  opt_nodelay: 0
  opt_nc: 0
  opt_sndwnd: 128
  opt_rcvwnd: 256
  opt_stream: true
  opt_writedelay: false
`;
  assert.deepEqual(listens(everything)[1]!.kcp, {
    mtu: 1200,
    // As kcp-go takes what is less.
    interval: 10,
    resend: 3,
    noDelay: false,
    congestion: true,
    sendWindow: 128,
    receiveWindow: 256,
    fec: { data: 3, parity: 1 },
    readTimeout: 90_000,
    readBuffer: 65_536,
  });
  const empty = everything.replaceAll(/(: ).*$/gm, "$1").replace(/^kcp: /, "kcp: 10.0.0.1:1248");
  assert.deepEqual(listens(empty)[1]!.kcp, DEFAULTS);
});

Deno.test("one of both numbers of goscon's FEC is none, as in goscon, and a warning", () => {
  for (const [set, missing] of [["data", "parity"], ["parity", "data"]] as const) {
    const text = `${HOSTS}kcp: ":1"\nkcp_option: {fec_${set}_shards: 1}`;
    const { config, warnings } = parseConfig(text, "f.yaml");
    assert.equal(config.listen[1]!.kcp!.fec, undefined);
    const key = `kcp_option.fec_${set}_shards`;
    const at = `kcp_option: {fec_${set}_shards: `.length + 1;
    assert.deepEqual(warnings, [
      `f.yaml:3:${at}: ${key}: has no effect: without fec_${missing}_shards there is no FEC`,
    ]);
  }
});

Deno.test("what is wrong with KCP is told with its place, and what was expected", () => {
  // The ^ is where the fault is.
  const entries: [string, string][] = [
    ['tcp: ":2", kcp: ^":1"', "kcp: a listener is tcp, ws or kcp, not both tcp and kcp"],
    ['kcp: ":1", tls: ^{cert: c, key: k}', "tls: a listener of KCP (kcp) has none"],
    ['kcp: ":1", accept_proxy: ^true, trusted: ["::1"]', "accept_proxy: a listener of KCP (kcp) has none"],
    ['kcp: ":1", path: ^/scp', "path: only a listener of WebSockets (ws) has this"],
    ['kcp: ":1", origins: ^[]', "origins: only a listener of WebSockets (ws) has this"],
    ['kcp: ":1", ping_interval: ^1s', "ping_interval: only a listener of WebSockets (ws) has this"],
    ['tcp: ":1", mtu: ^1400', "mtu: only a listener of KCP (kcp) has this"],
    ['ws: ":1", read_timeout: ^9s', "read_timeout: only a listener of KCP (kcp) has this"],
    ['kcp: ":1", fec: ^{data: 3}', "fec.parity: is missing"],
    [
      'kcp: ":1", fec: {data: 3, parity: ^0}',
      "fec.parity: expected a number of datagrams, a whole number of 1 to 255, not 0",
    ],
    ['kcp: ":1", fec: ^{data: 250, parity: 7}', "fec: expected at most 256 of data and parity together"],
    [
      'kcp: ":1", mtu: 57, fec: ^{data: 3, parity: 1}',
      "fec: takes 8 bytes of each datagram: expected an mtu of at least 58",
    ],
    ['kcp: ":1", mtu: ^1501', "mtu: expected a number of bytes, a whole number of 50 to 1500, not 1501"],
    ['kcp: ":1", interval: ^10', "interval: expected 1ms to 5s"],
    [
      'kcp: ":1", send_window: ^65536',
      "send_window: expected a number of segments, a whole number of 1 to 65535, not 65536",
    ],
    ['kcp: ":1", ^opt_mtu: 5', "opt_mtu: unknown key"],
  ];
  for (const [entry, fault] of entries) {
    const at = "listen: [{".length + entry.indexOf("^") + 1;
    assert.equal(faultsOf(`listen: [{${entry.replace("^", "")}}]`)[0], `f.yaml:2:${at}: listen[0].${fault}`);
  }
  const options: [string, string][] = [
    ["^opt_mtv: 1", "opt_mtv: unknown key; did you mean opt_mtu?"],
    ["^mtu: 1400", "mtu: unknown key"],
    ["opt_mtu: ^49", "opt_mtu: expected a number of bytes, a whole number of 50 to 1500, not 49"],
    [
      "fec_data_shards: ^200, fec_parity_shards: 57",
      "fec_data_shards: expected at most 256 of fec_data_shards and fec_parity_shards together",
    ],
  ];
  for (const [option, fault] of options) {
    const at = "kcp_option: {".length + option.indexOf("^") + 1;
    const found = faultsOf(`kcp_option: {${option.replace("^", "")}}`)[0]!;
    assert(found.startsWith(`f.yaml:2:${at}: kcp_option.${fault}`), found);
  }
});

Deno.test("a port of UDP is taken by listeners of KCP alone", () => {
  assert.equal(
    parsed('tcp: ":1248"\nkcp: ":1248"\nmanager: ":1249"\nmanager_token: t\nlisten: [{kcp: ":1249"}]').listen.length,
    3,
  );
  assert.deepEqual(faultsOf('kcp: ":1248"\nlisten: [{kcp: "0.0.0.0:1248"}]'), [
    "f.yaml:3:16: listen[0].kcp: 0.0.0.0:1248 is listened on already, by kcp",
  ]);
  const { warnings } = parseConfig(
    `${HOSTS}kcp: ":1248"\nlisten: [{kcp: "127.0.0.1:1248"}, {tcp: "127.0.0.1:1248"}]`,
    "f.yaml",
  );
  assert.deepEqual(warnings, ["f.yaml:3:16: listen[0].kcp: who connects to 127.0.0.1:1248 reaches this, not kcp"]);
});
