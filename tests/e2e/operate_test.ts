import assert from "node:assert/strict";
import { join } from "node:path";
import { Connection } from "../../lib/client/connection.ts";
import { writeAll } from "../../lib/link/link.ts";
import { monotonicMicroseconds } from "../../lib/link/libc.ts";
import { TcpLink } from "../../lib/link/tcp.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { runChaos } from "../helpers/chaos.ts";
import { Goscon, OLD_RUNTIME } from "../helpers/goscon.ts";
import { HAS_OPENSSL, makePair } from "../helpers/programs.ts";
import { pattern, Random } from "../helpers/random.ts";
import { ask, RawClient, tcp } from "../helpers/raw_client.ts";

const LISTEN = `listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}]`;
const HELLO = "0\n782riWdFIwE=\n\n0";
const HAS_SIGHUP = Deno.build.os !== "windows";

Deno.test("SIGTERM drains: no new session, resumes go on, and the process ends with its last session", async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(`${LISTEN}\nmanager: 127.0.0.1:0\nhosts: [{addr: "${backend.address}"}]`);
  using client = await RawClient.open(goscon.addresses[0]!);
  const far = await backend.accept();
  assert.equal((await goscon.manager("GET", "/readyz")).status, 200);
  goscon.kill("SIGTERM");
  await goscon.event((e) => e.message === "draining" && e.sessions === 1);
  assert.equal((await goscon.manager("GET", "/readyz")).status, 503);
  const refused = await ask(goscon.addresses[0]!, HELLO);
  assert.equal(refused.answer, "0\n501");
  refused.link.close();
  await goscon.event((e) => e.message === "handshake failed" && /refused: draining/.test(String(e.reason)));
  await client.resume();
  await writeAll(far, pattern(0, 1000));
  assertSameBytes(await client.receive(1000), pattern(0, 1000));
  await far.closeWrite();
  await client.receiveToEnd();
  client.link.close();
  // It has ended; the client is given reuse_time to come again for the end, unless it lacks nothing.
  const { answer, link } = await ask(goscon.addresses[0]!, client.resumeContent());
  assert.equal(answer, "0\n200");
  assert.equal(await link.read(new Uint8Array(1)), null);
  link.close();
  await goscon.event((e) => e.message === "drained");
  assert.equal(await goscon.ended(), 0);
});

Deno.test("POST /drain drains as well, and drain_timeout ends what is left", async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(
    `${LISTEN}\nmanager: 127.0.0.1:0\nhosts: [{addr: "${backend.address}"}]\ndrain_timeout: 100ms\nshutdown_timeout: 100ms`,
  );
  using client = await RawClient.open(goscon.addresses[0]!);
  await backend.accept();
  assert.equal((await goscon.manager("POST", "/drain")).status, 202);
  await goscon.event((e) => e.message === "drain_timeout is over" && e.sessions === 1);
  await client.receiveToEnd().catch(() => {});
  assert.equal(await goscon.ended(), 0);
});

Deno.test("SIGHUP reloads: what changed is logged, and a file with faults changes nothing", {
  ignore: !HAS_SIGHUP,
}, async () => {
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{name: one, addr: "builtin:echo"}]`);
  using client = await RawClient.open(goscon.addresses[0]!);
  await goscon.rewrite(`${LISTEN}\nhosts: [{name: two, addr: "builtin:echo"}]\nlog: {level: debug}`);
  goscon.kill("SIGHUP");
  const reloaded = await goscon.event((e) => e.message === "configuration reloaded");
  assert.match(String(reloaded.changed), /hosts\[0\]\.name: "one" -> "two"/);
  await goscon.rewrite(`${LISTEN}\nhosts: [{addr: 5}]`);
  goscon.kill("SIGHUP");
  const refused = await goscon.event((e) => e.message === "configuration not reloaded");
  assert.match(String(refused.reason), /:2:16: hosts\[0\]\.addr: expected/);
  await client.send(pattern(0, 10));
  assertSameBytes(await client.receive(10), pattern(0, 10));
});

Deno.test("a reload reads the file that the process found at its start, and fails when that is gone", async () => {
  const cwd = await Deno.makeTempDir();
  const [file, aside] = [join(cwd, "config.yaml"), join(cwd, "aside.yaml")];
  const config = `${LISTEN}\nmanager: 127.0.0.1:0\nhosts: [{name: one, addr: "builtin:echo"}]\n`;
  await Deno.writeTextFile(file, config);
  await using goscon = Goscon.spawn(["--log-format", "json"], { cwd });
  await goscon.event((e) => e.message.startsWith("ready"));
  const before = await goscon.manager("GET", "/config");
  await Deno.rename(file, aside);
  const refused = await goscon.manager("POST", "/reload");
  assert.equal(refused.status, 422, refused.text);
  assert.match(refused.text, /Cannot read the configuration config\.yaml: there is no such file/);
  await goscon.event((e) => e.message === "configuration not reloaded");
  assert.deepEqual(await goscon.manager("GET", "/config"), before);
  await Deno.writeTextFile(file, config.replace("one", "two"));
  assert.equal((await goscon.manager("POST", "/reload")).status, 200);
  const { changed } = await goscon.event((e) => e.message === "configuration reloaded");
  assert.equal(changed, 'hosts[0].name: "one" -> "two"');
});

Deno.test("no session is disturbed by a reload, whatever else happens to it", async () => {
  const random = new Random();
  await using backend = new Backend();
  const config = (variant: number) => `
    listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}${variant ? ', {tcp: "127.0.0.1:0"}' : ""}]
    manager: 127.0.0.1:0
    hosts: [{addr: "${backend.address}", weight: ${1 + variant}}${variant ? ', {name: x, addr: "builtin:echo"}' : ""}]
    scp: {reuse_buffer: 4MiB, reuse_time: ${30 + variant}s}
    upstream_option: {balance: ${variant ? "source" : "random"}}
    limits: {sessions: ${variant * 1000}}
  `;
  // A client without a target gets any host: until the sessions have begun, there is one.
  await using goscon = await Goscon.start(config(0));
  let done = false;
  let reloads = 0;
  const sessions = 40;
  const reloading = (async () => {
    await goscon.event(() => goscon.events.filter(({ message }) => message === "session new").length === sessions);
    for (let variant = 1; !done; variant = 1 - variant) {
      await goscon.rewrite(config(variant));
      assert.equal((await goscon.manager("POST", "/reload")).status, 200);
      reloads++;
    }
  })();
  const run = { address: goscon.addresses[0]!, dialect: "goscon" as const, backend, cutWithin: 60_000, random };
  const { resumes } = await runChaos({ ...run, sessions, bytes: 300_000 }).finally(() => done = true);
  await reloading;
  console.log(
    `seed ${random.seed}: ${resumes[1]} resumes of version 1, ${resumes[2]} of version 2, ${reloads} reloads`,
  );
  assert(resumes[1] > 200 && resumes[2] > 200, `only ${resumes[1]} and ${resumes[2]} resumes`);
  assert(reloads > 3, `only ${reloads} reloads`);
  assert.deepEqual(goscon.events.filter((e) => e.message === "internal error"), []);
});

/** A reload begins, at that time of CLOCK_MONOTONIC. */
const RELOADING = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/;
const READY = /^READY=1\nSTATUS=$/;

Deno.test("systemd is told of the start, reloads and the end, and that the process lives", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const path = join(await Deno.makeTempDir(), "notify.sock");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  const next = async () => new TextDecoder().decode((await socket.receive())[0]);
  const config = `${LISTEN}\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]\nscp: {reuse_time: 10ms}`;
  await using goscon = await Goscon.start(config, { env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "50000" } });
  const client = await RawClient.open(goscon.addresses[0]!);
  const until = async (state: RegExp) => {
    for (;;) {
      const seen = await next();
      if (state.test(seen)) return state.exec(seen)!;
      assert.equal(seen, "WATCHDOG=1");
    }
  };
  await until(READY);
  assert.equal(await next(), "WATCHDOG=1");
  const asked = monotonicMicroseconds()!;
  goscon.kill("SIGHUP");
  const [, begun] = await until(RELOADING);
  // systemd takes none for an answer that began before it asked.
  assert(asked <= Number(begun) && Number(begun) <= monotonicMicroseconds()!);
  await until(READY);
  await goscon.rewrite("hosts: 5");
  goscon.kill("SIGHUP");
  await until(RELOADING);
  await until(/^READY=1\nSTATUS=configuration not reloaded: .*:1:8: hosts: expected/);
  await goscon.rewrite(config);
  assert.equal((await goscon.manager("POST", "/reload")).status, 200);
  await until(RELOADING);
  await until(READY);
  // Not before it is served: then it is told that the end is put off.
  goscon.kill("SIGTERM");
  await until(/^EXTEND_TIMEOUT_USEC=30000000$/);
  client[Symbol.dispose]();
  await until(/^STOPPING=1$/);
  assert.equal(await goscon.ended(), 0);
  socket.close();
});

Deno.test("a NOTIFY_SOCKET that cannot be used is a warning, and the process serves", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "builtin:echo"}]`, {
    env: { NOTIFY_SOCKET: "@abstract" },
  });
  const { socket } = await goscon.event((e) => e.message === "systemd cannot be notified");
  assert.equal(socket, "@abstract");
  using client = await RawClient.open(goscon.addresses[0]!);
  await client.send(pattern(0, 10));
  assertSameBytes(await client.receive(10), pattern(0, 10));
});

Deno.test("TLS: a session over it, and another certificate at a reload, which cuts no session", {
  ignore: !HAS_OPENSSL || !HAS_SIGHUP || OLD_RUNTIME, // which has no server's end of node:tls
}, async () => {
  const dir = await Deno.makeTempDir();
  const [first, second] = [await makePair(dir, "first"), await makePair(dir, "second")];
  const config = ({ cert, key }: { cert: string; key: string }) => `
    listen: [{tcp: "127.0.0.1:0", tls: {cert: "${cert}", key: "${key}"}}, {tcp: "127.0.0.1:0"}]
    hosts: [{addr: "builtin:echo"}]
  `;
  await using goscon = await Goscon.start(config(first));
  const [address, bare] = goscon.addresses;
  const port = Number(address!.split(":")[1]);
  const overTls = (cert: string) => async () => {
    const caCerts = [await Deno.readTextFile(cert)];
    return new TcpLink(await Deno.connectTls({ hostname: "localhost", port, caCerts }), { keepAlive: false });
  };
  const connection = await Connection.open({ dial: overTls(first.cert), random: () => 0 });
  await writeAll(connection, pattern(0, 1000));
  assertSameBytes(await readExactly(connection, 1000), pattern(0, 1000));
  await goscon.rewrite(config(second));
  goscon.kill("SIGHUP");
  const reloaded = await goscon.event((e) => e.message === "configuration reloaded");
  assert.match(String(reloaded.changed), /listen\[0\]\.tls\.cert: /);
  await writeAll(connection, pattern(1, 1000));
  assertSameBytes(await readExactly(connection, 1000), pattern(1, 1000));
  assert.equal(goscon.events.filter((e) => e.message === "session lost").length, 0);
  connection.close();
  await assert.rejects(overTls(first.cert)().then((link) => link.read(new Uint8Array(1)).finally(() => link.close())));
  const next = await Connection.open({ dial: overTls(second.cert) });
  await writeAll(next, pattern(2, 1000));
  assertSameBytes(await readExactly(next, 1000), pattern(2, 1000));
  next.close();
  const s_client = await new Deno.Command("openssl", {
    args: ["s_client", "-connect", address!, "-CAfile", second.cert, "-verify_return_error", "-brief"],
    stdin: "null",
    stderr: "piped",
  }).output();
  assert.match(new TextDecoder().decode(s_client.stderr), /Verification: OK/);
  await tcp(bare!).then((link) => link.close());
});

Deno.test("TLS: a key that is not the certificate's is a fault of the configuration, with its place", {
  ignore: !HAS_OPENSSL,
}, async () => {
  const dir = await Deno.makeTempDir();
  const [first, second] = [await makePair(dir, "first"), await makePair(dir, "second")];
  await using goscon = await Goscon.start(`${LISTEN}\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]`);
  const listen = (cert: string, key: string) =>
    `listen: [{tcp: "127.0.0.1:0", tls: {cert: "${cert}", key: "${key}"}}]\nhosts: [{addr: "builtin:echo"}]`;
  for (const [cert, key, said] of [[first.cert, second.key, /KeyMismatch/], [first.cert, "/nothing", /no such file/]]) {
    await goscon.rewrite(listen(cert as string, key as string));
    const { status, text } = await goscon.manager("POST", "/reload");
    assert.equal(status, 422);
    assert.match(JSON.parse(text).faults[0], /:1:\d+: listen\[0\]\.tls: /);
    assert.match(text, said as RegExp);
  }
});
