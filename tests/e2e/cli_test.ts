import assert from "node:assert/strict";
import { join } from "node:path";
import { systemLookup } from "../../lib/link/dial.ts";
import { readRecord, writeAll } from "../../lib/link/link.ts";
import { Backend } from "../helpers/backend.ts";
import { Goscon, runProgram } from "../helpers/goscon.ts";
import { record } from "../helpers/raw_client.ts";
import { UdpSocket } from "../helpers/udp.ts";

const GOOD = `listen: [{tcp: "127.0.0.1:0"}]\nhosts: [{addr: "builtin:echo"}]\n`;

/** A directory of its own with these files. */
async function directory(files: Record<string, string>): Promise<string> {
  const path = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(path, name), text);
  return path;
}

Deno.test("--version and --help answer on standard output and exit with 0", async () => {
  const version = await runProgram(["--version"]);
  assert.equal(version.code, 0);
  assert.match(version.out, /^goscon \d+\.\d+\.\d+ /);
  for (const args of [["--help"], ["-h"], ["connect", "--help"]]) {
    const help = await runProgram(args);
    assert.equal(help.code, 0);
    assert.match(help.out, /Usage:[^]*connect ADDR[^]*--config FILE/);
  }
});

Deno.test("bad usage exits with 2 and one line that says what is wrong", async () => {
  const cases: [args: string[], said: RegExp][] = [
    [["--nonsense"], /nonsense/],
    [["--log-level", "loud"], /--log-level loud: expected one of debug, info, warning, error/],
    [["--log-format", "xml"], /--log-format xml: expected one of text, json/],
    [["connect"], /connect takes one address/],
    [["connect", "a:1", "b:2"], /connect takes one address/],
    [["check"], /check takes one address/],
    [["check", "a:1", "--protocol", "3"], /--protocol 3: expected one of 1, 2/],
    [["bridge", "--listen", "127.0.0.1:0"], /--connect/],
    [["bridge", "--listen", "unix:/x", "--connect", "a:1"], /--listen unix:\/x: expected host:port/],
    [["flaky", "--listen", "127.0.0.1:0"], /--connect/],
    [["flaky", "--listen", "127.0.0.1:0", "--connect", "a:1", "--rate", "fast"], /--rate/],
    [
      ["flaky", "--listen", "127.0.0.1:0", "--connect", "a:1", "--stall", "1s"],
      /--stall does nothing without --cut-every/,
    ],
    [["flaky", "--listen", "127.0.0.1:0", "--connect", "a:1", "--loss", "5%"], /--loss does nothing without --udp/],
    [["flaky", "--udp", "--listen", "127.0.0.1:0", "--connect", "a:1", "--loss", "5"], /--loss 5: expected a share/],
    [["connect", "nowhere"], /expected host:port.*not "nowhere"/],
    [["connect", "a:1", "--silence", "long"], /--silence long: expected .*at most 576h/],
    [["connect", "a:1", "--linger", "long"], /--linger long: expected .*at most 576h/],
    [["connect", "a:1", "--dialect", "latin"], /--dialect latin: expected one of goscon, plain/],
    [["connect", "a:1", "--protocol", "0"], /--protocol 0: expected one of 1, 2/],
    [["connect", "tcp://a:1", "--fec", "3,1"], /--fec is for kcp:\/\/host:port, not tcp:\/\/a:1/],
    [["check", "kcp://a:1", "--fec", "3"], /--fec 3: expected DATA,PARITY/],
    [
      ["bridge", "--listen", "127.0.0.1:0", "--connect", "kcp://a:1", "--fec", "200,57"],
      /--fec 200,57: .* at most together/,
    ],
    [["serve-me"], /serve-me/],
  ];
  for (const [args, said] of cases) {
    const { code, out, err } = await runProgram(args);
    assert.equal(code, 2, `${args}: ${err}`);
    assert.equal(out, "");
    assert.match(err, said);
    assert.match(err, /^goscon: [^\n]*\n$/);
  }
});

Deno.test("flaky --udp tells where it listens and its seed, and carries datagrams both ways", async () => {
  using target = new UdpSocket();
  using client = new UdpSocket();
  const args = ["flaky", "--udp", "--listen", "127.0.0.1:0", "--connect", target.address, "--jitter", "1ms"];
  await using goscon = Goscon.spawn([...args, "--seed", "7"]);
  const { message } = await goscon.event((e) => e.message.includes("listening on"));
  const [, address] = /listening on (\S+) for UDP, carrying to \S+, seed 7$/.exec(message)!;
  await client.send(Uint8Array.of(1), address!);
  const { bytes, from } = await target.receive();
  await target.send(Uint8Array.of(bytes[0]!, 2), from);
  assert.deepEqual((await client.receive()).bytes, Uint8Array.of(1, 2));
});

Deno.test("connect says in one sentence that a proxy refuses, or cannot be reached, and exits with 1", async () => {
  await using refusing = new Backend().serve(async (link) => {
    await readRecord(link);
    await writeAll(link, record("0\n501"));
  });
  const refused = await runProgram(["connect", refusing.address]);
  assert.deepEqual(refused, {
    code: 1,
    out: "",
    err: "goscon: 501 Network Error: the proxy refused a new session\n",
  });
  const unreachable = await runProgram(["connect", "ws://127.0.0.1:0/"]);
  assert.equal(unreachable.code, 1);
  assert.match(unreachable.err, /^goscon: Cannot connect to ws:[^\n]*\n$/);
});

Deno.test("a configuration that cannot be read exits with 2 and one sentence", async () => {
  const cwd = await directory({});
  const missing = await runProgram(["-c", "missing.yaml"], { cwd });
  assert.equal(missing.code, 2);
  assert.equal(missing.err, "goscon: Cannot read the configuration missing.yaml: there is no such file\n");
});

Deno.test("--test checks the configuration and exits: 0 when it is right, 2 with every fault when not", async () => {
  const cwd = await directory({
    "good.yaml": GOOD,
    "bad.yaml": "tpc: 1\nhosts: [{addr: 5}]\nshutdown_timeout: soon\n",
  });
  const good = await runProgram(["-t", "--config", "good.yaml"], { cwd });
  assert.deepEqual([good.code, good.err], [0, "goscon: the configuration good.yaml is valid\n"]);
  const bad = await runProgram(["--test", "-c", "bad.yaml"], { cwd });
  assert.equal(bad.code, 2);
  const faults = bad.err.trimEnd().split("\n");
  assert.equal(faults.length, 3, bad.err);
  assert.match(faults[0]!, /^bad\.yaml:1:1: tpc: .*did you mean tcp/);
  assert.match(faults[1]!, /^bad\.yaml:2:\d+: hosts\[0\]\.addr: /);
  assert.match(faults[2]!, /^bad\.yaml:3:19: shutdown_timeout: /);
});

Deno.test("--test says how many sessions a thread can have in a cluster, and --dump prints its section", async () => {
  const cluster = (slots: number) =>
    `cluster: { name: game, slots: ${slots}, threads: 16, slot: 1, nodes: [{ slot: 1, addr: "a.example:1250" }], ` +
    `listen: "127.0.0.1:1250", secrets: [0123456789abcdef] }\n`;
  const cwd = await directory({ "64.yaml": GOOD + cluster(64), "512.yaml": GOOD + cluster(512) });
  const { code, err } = await runProgram(["--test", "-c", "64.yaml"], { cwd });
  const valid = "goscon: the configuration 64.yaml is valid; each thread of a node can have 1048576 sessions\n";
  assert.deepEqual([code, err], [0, valid]);
  const { out } = await runProgram(["--dump", "-c", "64.yaml"], { cwd });
  assert.match(out, /^cluster:\n {2}name: game\n/m);
  assert.match(out, /^ {2}drain_rate: 100$/m);
  const tooMany = await runProgram(["--test", "-c", "512.yaml"], { cwd });
  assert.equal(tooMany.code, 2);
  assert.match(tooMany.err, /^512\.yaml:3:\d+: cluster\.slots: expected at most 256 with threads: 16/);
});

Deno.test("--test takes a pattern that Go takes, and refuses any other at its place", async () => {
  const withPattern = (pattern: string) =>
    `listen: [{tcp: "127.0.0.1:0"}]\nupstream_option:\n  resolv:\n    port: 1\n    pattern: '${pattern}'\n    suffix: .test\n`;
  const cwd = await directory({
    "go.yaml": withPattern(String.raw`(?i)^(?P<game>[[:alnum:]]+)\z`),
    "ahead.yaml": withPattern("^game(?=_)"),
    "again.yaml": withPattern(String.raw`^(a+)_\1$`),
  });
  const go = await runProgram(["--test", "-c", "go.yaml"], { cwd });
  assert.deepEqual(go, { code: 0, out: "", err: "goscon: the configuration go.yaml is valid\n" });
  for (const [file, fault] of [["ahead.yaml", "(?="], ["again.yaml", String.raw`\1`]] as const) {
    const { code, err } = await runProgram(["--test", "-c", file], { cwd });
    assert.equal(code, 2);
    assert(err.startsWith(`${file}:5:14: upstream_option.resolv.pattern: expected a regular expression`), err);
    assert(err.endsWith(`: \`${fault}\`\n`), err);
  }
});

Deno.test("--test takes the configuration of the Go program goscon, with a warning of its small reuse_buffer", async () => {
  const file = join(import.meta.dirname!, "..", "testdata", "goscon.yaml");
  const { code, err } = await runProgram(["--test", "-c", file]);
  assert.equal(code, 0, err);
  const said = err.trimEnd().split("\n").map((line) =>
    line.replace(`goscon: warning: ${file}:`, "").split(": ", 2).join(": ")
  );
  assert.deepEqual(said, [
    "7:17: scp.reuse_buffer",
    `goscon: the configuration ${file} is valid`,
  ]);
});

Deno.test("--test takes each form that viper and yaml.v2 take, and tells the line of a fault in it", async () => {
  const forms: Record<string, string> = {
    "numbers.yaml": 'hosts:\n  - name: 17\n    addr: ":1"\n    weight: "50"\n',
    "empty.yaml": 'scp:\ntcp_option:\nkcp_option:\nhosts:\n  - addr: ":1"\n    name:\n',
    "case.yaml": 'TCP: ":1"\nScp:\n  Reuse_Time: 5\nHosts:\n  - Addr: ":2"\n',
    "yes.yaml": 'tcp_option:\n  keepalive: on\nhosts:\n  - addr: ":1"\n',
    "merge.yaml": 'hosts:\n  - &one\n    addr: ":1"\n  - <<: *one\n    name: two\n',
    "aliases.yaml": `a: &a 65536\nb: &b [${Array(300).fill("*a")}]\nc: *b\nhosts:\n  - addr: ":1"\n`,
    "kcp.yaml": 'KCP: ":1248"\nkcp_option:\n  Opt_Nc: 0\nhosts:\n  - addr: ":1"\n',
  };
  const broken = Object.entries(forms).map(([name, text]) => [`bad_${name}`, `${text}tpc: 1\n`]);
  const cwd = await directory({ ...forms, ...Object.fromEntries(broken) });
  for (const [name, text] of Object.entries(forms)) {
    const good = await runProgram(["-t", "-c", name], { cwd });
    assert.equal(good.code, 0, `${name}: ${good.err}`);
    const bad = await runProgram(["-t", "-c", `bad_${name}`], { cwd });
    const line = text.split("\n").length;
    assert.deepEqual(
      [bad.code, bad.err],
      [2, `bad_${name}:${line}:1: tpc: unknown key; did you mean tcp?\n`],
      name,
    );
  }
});

Deno.test("--test and the start refuse one address in two spellings, whatever listens there", async () => {
  const text = 'tcp: ":1248"\nlisten:\n  - ws: "0.0.0.0:01248"\n    dialect: plain\nhosts:\n  - addr: builtin:echo\n';
  const cwd = await directory({ "config.yaml": text });
  for (const args of [["--test"], []]) {
    const { code, err } = await runProgram(args, { cwd });
    assert.deepEqual([code, err], [
      2,
      "config.yaml:3:9: listen[0].ws: 0.0.0.0:01248 is listened on already, by tcp\n",
    ]);
  }
});

/** How this machine is called, when it knows its own address by that. */
const HOST = Deno.hostname();
const [HOST_IP] = (await systemLookup(HOST).catch(() => [])).filter((ip) => !ip.includes(":"));

Deno.test("--test, the start and a reload refuse two names of one address", { ignore: !HOST_IP }, async () => {
  const text = `${GOOD}tcp: "${HOST_IP}:1248"\n`.replace("127.0.0.1:0", `${HOST}:1248`);
  const cwd = await directory({ "config.yaml": text });
  const fault = /^config\.yaml:1:16: listen\[0\]\.tcp: \S+:1248 \(.*\) is listened on already, by tcp\n$/;
  for (const args of [["--test"], []]) {
    const { code, err } = await runProgram(args, { cwd });
    assert.equal(code, 2);
    assert.match(err, fault);
  }
  await using goscon = await Goscon.start(GOOD);
  await goscon.rewrite(text);
  goscon.kill("SIGHUP");
  const { reason } = await goscon.event((e) => e.message === "configuration not reloaded");
  assert.match(String(reason), /is listened on already, by tcp$/);
});

Deno.test("--test warns of a name to listen on that cannot be looked up", async () => {
  const cwd = await directory({ "config.yaml": GOOD.replace("127.0.0.1:0", "no-such-host.invalid:0") });
  const { code, err } = await runProgram(["--test"], { cwd });
  const [warning, valid] = err.split("\n");
  assert.equal(code, 0);
  assert.match(
    warning!,
    /^goscon: warning: config\.yaml:1:16: listen\[0\]\.tcp: no-such-host\.invalid cannot be looked up: ./,
  );
  assert.equal(valid, "goscon: the configuration config.yaml is valid");
});

Deno.test("--dump prints the configuration in effect, which is a configuration", async () => {
  const cwd = await directory({ "config.yaml": GOOD });
  const dumped = await runProgram(["-T", "--log-level", "error"], { cwd });
  assert.equal(dumped.code, 0, dumped.err);
  assert.match(dumped.out, /reuse_buffer:/);
  assert.match(dumped.out, /level: error/);
  await Deno.writeTextFile(join(cwd, "dumped.yaml"), dumped.out);
  const again = await runProgram(["-T", "-c", "dumped.yaml"], { cwd });
  assert.equal(again.out, dumped.out);
});

Deno.test("config.yaml of the current directory is taken, and without one the embedded one", async () => {
  const here = await runProgram(["-T"], { cwd: await directory({ "config.yaml": GOOD }) });
  assert.match(here.out, /127\.0\.0\.1:0/);
  const embedded = await runProgram(["-T"], { cwd: await directory({}) });
  assert.equal(embedded.code, 0, embedded.err);
  assert.match(embedded.out, /0\.0\.0\.0:1248/);
  assert.match(embedded.out, /0\.0\.0\.0:1249/);
  assert.match(embedded.out, /builtin:echo/);
});

Deno.test("config.yaml beside the binary is taken when there is none here", {
  ignore: Deno.env.get("GOSCON_BIN") === undefined,
}, async () => {
  const home = await directory({ "config.yaml": GOOD });
  const binary = join(home, "goscon");
  await Deno.copyFile(Deno.env.get("GOSCON_BIN")!, binary);
  const output = await new Deno.Command(binary, { args: ["-T"], cwd: await directory({}) }).output();
  assert.match(new TextDecoder().decode(output.stdout), /127\.0\.0\.1:0/);
});

Deno.test("a port in use exits with 1 and one sentence", async () => {
  await using goscon = await Goscon.start(GOOD);
  const [address] = goscon.addresses;
  const cwd = await directory({ "config.yaml": `tcp: "${address}"\nhosts: [{addr: "builtin:echo"}]` });
  const { code, err } = await runProgram([], { cwd });
  assert.equal(code, 1);
  assert.equal(err.trimEnd().split("\n").at(-1), `goscon: Cannot listen on ${address}: the address is in use`);
  assert.doesNotMatch(err, /^\s+at /m);
});

Deno.test("the start says where it listens, with which dialect, where it forwards, and what to try next", async () => {
  const cwd = await directory({
    "config.yaml": `listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}]\n` +
      `hosts: [{name: echo, addr: "builtin:echo"}]\nkcp: 127.0.0.1:0\n`,
  });
  await using goscon = await Goscon.start(await Deno.readTextFile(join(cwd, "config.yaml")));
  const said = goscon.events.map(({ message }) => message);
  const listening = goscon.events.filter((e) => e.message === "listening");
  assert.deepEqual(listening.map((e) => [e.dialect, e.transport]), [
    ["goscon", "kcp"],
    ["goscon", undefined],
    ["plain", undefined],
  ]);
  assert.equal(goscon.events.find((e) => e.message === "forwarding")?.to, "builtin:echo");
  assert.match(said.at(-1)!, /^ready; try: .* connect kcp:\/\/127\.0\.0\.1:\d+$/);
});
