import assert from "node:assert/strict";
import { Connection } from "../../lib/client/connection.ts";
import { lingeringClose, writeAll } from "../../lib/link/link.ts";
import { request } from "../../lib/scp/mod.ts";
import { RULES } from "../../lib/tools/check/rules.ts";
import { RULES_OF_2 } from "../../lib/tools/check/v2/rules.ts";
import { Backend, echo, readExactly, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { FullSocket } from "../helpers/full_socket.ts";
import { Goscon, runProgram } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { RawClient, tcp } from "../helpers/raw_client.ts";
import { RoughPath } from "../helpers/rough_path.ts";

const LISTEN = `listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}]`;

for (const version of [1, 2] as const) {
  Deno.test(`the process carries sessions of both dialects, and logs each event of theirs in one line: version ${version}`, async () => {
    await using backend = new Backend().serve(echo);
    await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{name: one, addr: "${backend.address}"}]`);
    for (const [i, dialect] of (["goscon", "plain"] as const).entries()) {
      const address = goscon.addresses[i]!;
      const dial = () => tcp(address);
      const closed = Promise.withResolvers<unknown>();
      const connection = await Connection.open({
        ...{ dial, dialect, version },
        target: "one",
        random: () => 0,
        onClosed: closed.resolve,
      });
      await writeAll(connection, pattern(0, 10_000));
      assertSameBytes(await readExactly(connection, 10_000), pattern(0, 10_000));
      await connection.cut();
      await writeAll(connection, pattern(1, 10_000));
      assertSameBytes(await readExactly(connection, 10_000), pattern(1, 10_000));
      const of = (message: string) => goscon.event((e) => e.message === message && e.id === connection.id);
      const begun = await of("session new");
      assert.equal(begun.upstream, backend.address);
      assert.equal(begun.target, "one");
      assert.equal(begun.version, version);
      assert.match(String(begun.client), /^127\.0\.0\.1:\d+$/);
      const lost = await of("session lost");
      assert.deepEqual([lost.received, lost.sent], [10_000, 10_000]);
      const resumed = await of("session resumed");
      assert.equal(resumed.resent, 0);
      assert.notEqual(resumed.client, begun.client);
      assert.equal(typeof resumed.gap_ms, "number");
      connection.close();
      assert.equal(await closed.promise, undefined);
    }
  });
}

Deno.test("SIGTERM: each client gets what its backend sent, and the process exits with 0", async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(
    `${LISTEN}\nhosts: [{addr: "${backend.address}"}]\nshutdown_timeout: 60s\ndrain_timeout: 0`,
  );
  using client = await RawClient.open(goscon.addresses[0]!);
  const far = await backend.accept();
  await client.send(pattern(0, 100, 1));
  assertSameBytes(await readExactly(far, 100), pattern(0, 100, 1));
  await writeAll(far, pattern(0, 200_000, 2));
  goscon.kill("SIGTERM");
  assert.equal((await readToEnd(far)).length, 0);
  await lingeringClose(far);
  assertSameBytes(await client.receiveToEnd(), pattern(0, 200_000, 2));
  client.link.close();
  assert.equal(await goscon.ended(), 0);
  await assert.rejects(tcp(goscon.addresses[0]!));
});

Deno.test("SIGINT: the process exits with 0 within shutdown_timeout, whatever its peers do", async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "${backend.address}"}]\nshutdown_timeout: 100ms`);
  using client = await RawClient.open(goscon.addresses[0]!);
  await backend.accept();
  await goscon.event((e) => e.message === "session new");
  goscon.kill("SIGINT");
  assert.equal(await goscon.ended(), 0);
  await client.receiveToEnd().catch(() => {});
});

Deno.test("a second signal ends the process at once", async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "${backend.address}"}]\nshutdown_timeout: 1h`);
  using client = await RawClient.open(goscon.addresses[0]!);
  await backend.accept();
  await goscon.event((e) => e.message === "session new");
  goscon.kill("SIGTERM");
  await goscon.event((e) => e.message === "signal received");
  goscon.kill("SIGTERM");
  assert.equal(await goscon.ended(), 1);
  await client.receiveToEnd().catch(() => {});
});

Deno.test("without a descriptor left for another connection the process waits, and goes on when there is one", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "builtin:echo"}]`, { descriptors: 80 });
  const address = goscon.addresses[0]!;
  using client = await RawClient.open(address);
  const silent = await Promise.all(Array.from({ length: 80 }, () => tcp(address)));
  const failed = await goscon.event((e) => e.message === "accept failed");
  assert.match(String(failed.reason), /too many open files/i);
  await client.send(pattern(0, 10));
  assertSameBytes(await client.receive(10), pattern(0, 10));
  for (const link of silent) link.close();
  using next = await RawClient.open(address);
  await next.send(pattern(0, 10));
  assertSameBytes(await next.receive(10), pattern(0, 10));
  goscon.kill("SIGINT");
  await Promise.all([client.receiveToEnd(), next.receiveToEnd()]);
  for (const { link } of [client, next]) link.close();
  assert.equal(await goscon.ended(), 0);
});

/** Whether a new session reaches its backend, which echoes. */
async function isServed(address: string): Promise<boolean> {
  try {
    using client = await RawClient.open(address);
    await client.send(pattern(0, 10));
    return (await client.receive(10)).length === 10;
  } catch {
    return false;
  }
}

Deno.test("without a descriptor left to reach backends with, the log says so, and no backend is blamed", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using one = new Backend().serve(echo);
  await using two = new Backend().serve(echo);
  const config = `
    ${LISTEN}
    hosts: [{addr: "${one.address}"}, {addr: "${two.address}"}]
    upstream_option: {check: {interval: 50ms, timeout: 1h, fall: 1}}
  `;
  await using goscon = await Goscon.start(config, { descriptors: 80 });
  const address = goscon.addresses[0]!;
  const early = await Promise.all(Array.from({ length: 6 }, () => tcp(address)));
  const silent = await Promise.all(Array.from({ length: 80 }, () => tcp(address)));
  await goscon.event((e) => e.message === "accept failed");
  for (const upstream of [one.address, two.address]) {
    await goscon.event((e) => e.message === "out of descriptors" && e.upstream === upstream);
  }
  const { record } = request({ privateKey: 1n, target: "", flag: 0, dialect: "goscon", cacheSize: 1 });
  for (const link of early) await writeAll(link, record);
  const failed = await goscon.event((e) => e.message === "out of descriptors" && e.session !== undefined);
  assert.match(String(failed.reason), /too many open files/i);
  for (const link of [...early, ...silent]) link.close();
  while (!await isServed(address));
  assert.deepEqual(goscon.events.filter((e) => /^upstream (failed|down|out)$/.test(e.message)), []);
});

Deno.test("without a descriptor left to look a name up with, the log says so, and its backend is not blamed", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using backend = new Backend().serve(echo);
  const check = "upstream_option: {check: {interval: 50ms, timeout: 1h}}";
  const config = `${LISTEN}\nhosts: [{addr: "localhost:${backend.port}"}]\n${check}`;
  await using goscon = await Goscon.start(config, { descriptors: 80 });
  const silent = await Promise.all(Array.from({ length: 80 }, () => tcp(goscon.addresses[0]!)));
  const isOurs = (e: { message: string }) => e.message === "out of descriptors";
  await goscon.event((e) => isOurs(e) && goscon.events.filter(isOurs).length > 5);
  for (const link of silent) link.close();
  while (!await isServed(goscon.addresses[0]!));
  assert.deepEqual(goscon.events.filter((e) => e.message === "upstream down"), []);
});

Deno.test("a backend at a Unix socket whose queue is full is waited for, as one over TCP is", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using socket = await FullSocket.open();
  const option = "upstream_option: {connect_timeout: 1h}";
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "unix:${socket.path}"}]\n${option}`);
  const clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.open(goscon.addresses[0]!)));
  for (const client of clients) await client.send(pattern(0, 10));
  socket.serve();
  for (const client of clients) {
    assertSameBytes(await client.receive(10), pattern(0, 10));
    client[Symbol.dispose]();
  }
  assert.deepEqual(goscon.events.filter((e) => e.message === "upstream failed"), []);
});

Deno.test("no name that a client asks for keeps a thread busy, whatever the pattern of resolv is", async () => {
  const resolv = "{port: 1, pattern: '^([a-z]+_?)+[0-9]$'}";
  await using goscon = await Goscon.start(
    `${LISTEN}\nhosts: [{addr: "builtin:echo"}]\nupstream_option: {resolv: ${resolv}}`,
  );
  for (const length of [40, 400]) {
    using client = await RawClient.open(goscon.addresses[0]!, { target: "a".repeat(length) });
    await client.send(pattern(0, 100));
    assertSameBytes(await client.receive(100), pattern(0, 100));
  }
});

Deno.test("the process can be started again at once on the same port", async () => {
  await using first = await Goscon.start(`${LISTEN}\nhosts: [{addr: "builtin:echo"}]`);
  const address = first.addresses[0]!;
  using client = await RawClient.open(address);
  first.kill("SIGKILL");
  await first.ended();
  await using second = await Goscon.start(`listen: [{tcp: "${address}"}]\nhosts: [{addr: "builtin:echo"}]`);
  assert.deepEqual(second.addresses, [address]);
  using next = await RawClient.open(address);
  await next.send(pattern(0, 10));
  assertSameBytes(await next.receive(10), pattern(0, 10));
  await client.receiveToEnd().catch(() => {});
});

Deno.test("goscon connect joins a session to standard input and output, and tells of it on standard error", async () => {
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{name: one, addr: "builtin:echo"}]`);
  for (const [i, args] of [["--target", "one"], ["--dialect", "plain"]].entries()) {
    const { code, out, err } = await runProgram(["connect", goscon.addresses[i]!, "--linger", "1s", ...args], {
      input: "hello, backend\n",
    });
    assert.equal(code, 0, err);
    assert.equal(out, "hello, backend\n");
    assert.match(err, /^goscon: connected to tcp:\/\/127\.0\.0\.1:\d+: session \d+\n/);
  }
});

Deno.test("goscon connect ends when the backend does, with all that it sent", async () => {
  await using backend = new Backend().serve((link) => writeAll(link, new TextEncoder().encode("bye\n")));
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "${backend.address}"}]`);
  const { code, out } = await runProgram(["connect", goscon.addresses[0]!], { input: "" });
  assert.deepEqual([code, out], [0, "bye\n"]);
});

Deno.test("goscon connect says in one sentence why there is no session", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const { code, err } = await runProgram(["connect", `127.0.0.1:${listener.addr.port}`]);
  assert.equal(code, 1);
  assert.match(err, /^goscon: 127\.0\.0\.1:\d+: Connection refused[^\n]*\n$/);
});

Deno.test("goscon check finds every rule of the protocol kept, in both dialects, and says which are not", async () => {
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{name: one, addr: "builtin:echo"}]`);
  await Promise.all(["goscon", "plain"].map(async (dialect, i) => {
    const { code, out, err } = await runProgram(["check", goscon.addresses[i]!, "--dialect", dialect]);
    assert.deepEqual([code, err], [0, ""], out);
    assert.equal(out.match(/^ok {4}/gm)?.length, RULES.length + RULES_OF_2.length);
    assert.doesNotMatch(out, /FAIL/);
  }));
  const args = ["check", goscon.addresses[0]!, "--dialect", "plain", "--protocol", "1"];
  const { code, out, err } = await runProgram(args);
  assert.equal(code, 1);
  assert.deepEqual(out.match(/^FAIL.*\n.*$/gm), [
    "FAIL  the second line of a resume's answer is that of the dialect: 200, or 200 OK in plain (Two dialects)\n" +
    '      it is "200", where 200 OK was expected',
  ]);
  assert.match(err, /^goscon: 127\.0\.0\.1:\d+ does not keep every rule\n$/);
});

Deno.test("goscon check says in one line that version 2 is not spoken; when it was asked for, that is a failure", async () => {
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "builtin:echo"}]\nscp: {version: 1}`);
  const both = await runProgram(["check", goscon.addresses[0]!]);
  assert.equal(both.code, 0);
  assert.equal(both.err, "goscon: version 2 is not spoken: the offer was ignored\n");
  assert.equal(both.out.match(/^ok {4}/gm)?.length, RULES.length);
  const { code, out } = await runProgram(["check", goscon.addresses[0]!, "--protocol", "2"]);
  assert.equal(code, 1);
  assert.equal(out, "FAIL  version 2 is spoken (Version 2: Negotiation)\n      the offer was ignored\n");
});

Deno.test("goscon flaky cuts what goes through it, and a session through it loses nothing", async () => {
  await using goscon = await Goscon.start(`${LISTEN}\nhosts: [{addr: "builtin:echo"}]`);
  const at = ["--listen", "127.0.0.1:0", "--connect", goscon.addresses[0]!];
  const args = [...at, "--cut-after-bytes", "20KiB", "--seed", "7"];
  await using flaky = Goscon.spawn(["flaky", ...args]);
  const { message } = await flaky.event((e) => e.message.includes("listening on"));
  const address = /listening on (\S+),/.exec(message)![1]!;
  let resumes = 0;
  const connection = await Connection.open({ dial: () => tcp(address), random: () => 0, onResumed: () => resumes++ });
  for (let at = 0; at < 200_000; at += 5000) {
    await writeAll(connection, pattern(at, 5000));
    assertSameBytes(await readExactly(connection, 5000), pattern(at, 5000));
  }
  connection.close();
  assert(resumes >= 400_000 / 20_480, `only ${resumes} resumes`);
});

Deno.test("goscon bridge carries any program's connections, over a link that is cut again and again", async () => {
  const flaky = ["--cut-after-bytes", "50KiB"];
  await using path = await RoughPath.start({ backend: "builtin:echo", reuseBuffer: "4MiB", flaky });
  const links = await Promise.all([1, 2, 3].map(() => tcp(path.address)));
  await Promise.all(links.map(async (link, salt) => {
    const bytes = pattern(0, 300_000, salt);
    const [echoed] = await Promise.all([readExactly(link, bytes.length), writeAll(link, bytes)]);
    assertSameBytes(echoed, bytes, `GOSCON_SEED=${path.seed} cuts at the same places`);
    link.close();
  }));
  assert(path.resumes > 10, `only ${path.resumes} resumes`);
  path.bridge.kill("SIGTERM");
  assert.equal(await path.bridge.ended(), 0);
});
