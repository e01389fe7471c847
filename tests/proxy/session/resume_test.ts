import { setImmediate } from "node:timers";
import assert from "node:assert/strict";
import { lingeringClose, type Link, readRecord, writeAll } from "../../../lib/link/link.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { stalled } from "../../helpers/turns.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { ask, RawClient, record, tcp } from "../../helpers/raw_client.ts";

/** It does not settle a write that is pending when its connection is closed. */
const OLD_DENO = Deno.version.deno.startsWith("2.6.");
const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

Deno.test("a resume sends the client what it lacks, and takes what the proxy lacks", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await client.send(pattern(0, 100, 1));
  assertSameBytes(await readExactly(far, 100), pattern(0, 100, 1));
  client.link.close();
  await proxy.log.nth("session lost");
  // Sent while there is no connection, either way.
  const lost = pattern(100, 50, 1);
  client.session.seal(lost);
  await writeAll(far, pattern(0, 5000, 2));
  await client.resume();
  assertSameBytes(await client.receive(5000), pattern(0, 5000, 2));
  assertSameBytes(await readExactly(far, 50), pattern(100, 50, 1));
});

Deno.test("bytes that come in the same segment as a request are the first of the stream", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  // The plain dialect needs no secret to be known: the whole of what a client sends can be one write.
  const link = await tcp(proxy.plainAddress);
  await writeAll(link, concat([record("0\n782riWdFIwE=\n\n0"), pattern(0, 500)]));
  assert(await readRecord(link));
  assertSameBytes(await readExactly(await backend.accept(), 500), pattern(0, 500));
  link.close();
});

Deno.test("a request that comes byte by byte is understood", async () => {
  await using proxy = TestProxy.start(ECHO);
  const link = await tcp(proxy.plainAddress);
  for (const byte of record("0\n782riWdFIwE=")) {
    await writeAll(link, Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match((await readRecord(link))!.content, /^[1-9][0-9]*\n[A-Za-z0-9+/]{11}=$/);
  link.close();
});

Deno.test("a resume while the old connection is open and full of bytes loses none and doubles none", async () => {
  const random = new Random();
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: "16MiB" },
    shutdown_timeout: "10ms",
  });
  using client = await RawClient.open(proxy.address, { cacheSize: 16 * 2 ** 20 });
  const far = await backend.accept();
  const total = 60 * 40_000;
  const received = readExactly(far, total);
  let sent = 0;
  for (let round = 0; round < 60; round++) {
    const sealed = pattern(sent, 40_000);
    sent += sealed.length;
    client.session.seal(sealed);
    // The old connection takes a part of it, in flight while the resume is answered.
    const old = client.link;
    const inFlight = writeAll(old, sealed.subarray(0, random.int(0, sealed.length))).catch(() => {});
    await client.resume();
    await inFlight;
    old.close();
  }
  assertSameBytes(await received, pattern(0, total), `seed ${random.seed}`);
});

Deno.test({
  name: "a resume takes the place of a connection that is open and full, with a write pending on it",
  ignore: OLD_DENO,
  fn: async () => {
    await using backend = new Backend();
    await using proxy = TestProxy.start({
      hosts: [{ addr: backend.address }],
      scp: { reuse_buffer: "64MiB" },
      shutdown_timeout: "10ms",
    });
    using client = await RawClient.open(proxy.address);
    const far = await backend.accept();
    const total = 20 * 2 ** 20;
    const progress = { written: 0 };
    const sent = sendPattern(far, total, progress);
    await stalled(() => progress.written);
    const old = client.link;
    await client.resume();
    assertSameBytes(await client.receive(total), pattern(0, total));
    await sent;
    old.close();
  },
});

Deno.test("while the client is away the backend has to wait, and nothing is lost", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  client.link.close();
  await proxy.log.nth("session lost");
  const total = 20 * 2 ** 20;
  const progress = { written: 0 };
  const sent = sendPattern(far, total, progress);
  await stalled(() => progress.written);
  assert(progress.written < total, "20 MiB were taken for a client that is away");
  await client.resume();
  assertSameBytes(await client.receive(total), pattern(0, total));
  await sent;
});

Deno.test("a refused request is answered in its dialect, and closed", async () => {
  await using proxy = TestProxy.start(ECHO);
  const refusals: [content: string, status: string][] = [
    ["what?", "400 Malformed Request"],
    ["0\nnot a key", "400 Malformed Request"],
    ["0\nxf////////8=", "400 Malformed Request"], // 0 mod p
    ["7\n1\n0\n96xSmQsT7GY=", "404 User Not Found"],
  ];
  for (const [content, status] of refusals) {
    for (const [address, expected] of [[proxy.address, status.slice(0, 3)], [proxy.plainAddress, status]] as const) {
      const { link, answer } = await ask(address, content);
      assert.equal(answer, `0\n${expected}`);
      assert.equal(await link.read(new Uint8Array(1)), null);
      link.close();
    }
  }
});

Deno.test("a wrong hmac is refused with 401, a used index with 403, and the session goes on undisturbed", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await RawClient.open(proxy.address);
  await client.send(pattern(0, 10));
  assertSameBytes(await client.receive(10), pattern(0, 10));
  const wrong = await ask(proxy.address, `${client.id}\n1\n10\nAAAAAAAAAAA=`);
  assert.equal(wrong.answer, "0\n401");
  wrong.link.close();
  await client.resume();
  // The same index again, and one that was never used but is lower than one that was.
  client.resumeContent();
  const lower = client.resumeContent();
  await client.resume();
  const expired = await ask(proxy.address, lower);
  assert.equal(expired.answer, "0\n403");
  expired.link.close();
  await client.send(pattern(10, 10));
  assertSameBytes(await client.receive(10), pattern(10, 10));
  assert.equal(proxy.log.of("session resumed").length, 2);
});

Deno.test("a resume that lacks more than the cache holds is refused with 406, and ends the session", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: 1000 },
    shutdown_timeout: "10ms",
  });
  const client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await writeAll(far, pattern(0, 1001));
  // Received by the client, but not counted: as if it had been lost on the way.
  assert.equal((await readExactly(client.link, 1001)).length, 1001);
  const { link, answer } = await ask(proxy.address, client.resumeContent());
  assert.equal(answer, "0\n406");
  link.close();
  client.link.close();
  assert.match(String((await proxy.log.nth("session ended")).reason), /^406/);
  assert.equal((await readToEnd(far)).length, 0);
  const late = await ask(proxy.address, client.resumeContent());
  assert.equal(late.answer, "0\n404");
  late.link.close();
});

Deno.test("of two resumes at once the one with the higher index wins", { ignore: OLD_DENO }, async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: "64MiB" },
    shutdown_timeout: "10ms",
  });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  for (let round = 0; round < 20; round++) {
    const [first, second] = [client.resumeContent(), client.resumeContent()];
    const answers = await Promise.all([ask(proxy.address, first), ask(proxy.address, second)]);
    assert.match(answers[1].answer, /\n200$/);
    // The first was taken before the second came, or it was overtaken.
    assert.match(answers[0].answer, /\n(200|403)$/);
    answers[0].link.close();
    client.link.close();
    client.link = answers[1].link;
    await writeAll(far, pattern(round, 100));
    assertSameBytes(await client.receive(100), pattern(round, 100));
  }
});

Deno.test("the backend closes: the client gets every byte and the end, and each resume after that gets 200 and the end", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await writeAll(far, pattern(0, 100_000));
  far.close();
  assertSameBytes(await client.receiveToEnd(), pattern(0, 100_000));
  client.link.close();
  for (let round = 0; round < 3; round++) await expectEnd(proxy.address, client);
  assert.equal((await proxy.log.nth("session ended")).reason, "upstream closed");
  assert.equal(proxy.log.of("session ended").length, 1);
});

Deno.test("the backend closes while the client is away: it resumes, and gets the rest and the end", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  client.link.close();
  await proxy.log.nth("session lost");
  await writeAll(far, pattern(0, 100_000));
  far.close();
  await client.resume();
  assertSameBytes(await client.receiveToEnd(), pattern(0, 100_000));
  client.link.close();
  await expectEnd(proxy.address, client);
});

Deno.test("the backend closes while the client is away, and lacks nothing: it gets 200 and the end, as often as it asks", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await client.send(pattern(0, 10));
  await readExactly(far, 10);
  client.link.close();
  await proxy.log.nth("session lost");
  far.close();
  await proxy.log.nth("upstream closed");
  for (let round = 0; round < 3; round++) await expectEnd(proxy.address, client, 10);
});

Deno.test("a session that has ended answers as it did: 401, 403 and 406 to whom it would, and 404 after reuse_time", async () => {
  await using backend = new Backend();
  let now = 0;
  const scp = { reuse_time: "10s" };
  const keys = { hosts: [{ addr: backend.address }], scp, shutdown_timeout: "10ms" };
  await using proxy = TestProxy.start(keys, { now: () => now });
  using client = await RawClient.open(proxy.address);
  (await backend.accept()).close();
  assert.equal((await client.receiveToEnd()).length, 0);
  const early = client.resumeContent();
  await expectEnd(proxy.address, client);
  await refuses(proxy.address, `${client.id}\n9\n0\nAAAAAAAAAAA=`, 401);
  await refuses(proxy.address, early, 403);
  client.session.open(new Uint8Array(1));
  await refuses(proxy.address, client.resumeContent(), 406);
  now = 10_001;
  const gone = async () => /404/.test(await refuses(proxy.address, client.resumeContent()));
  while (!await gone());
});

Deno.test("a backend that failed has not ended in order: a resume after it meets 404", {
  ignore: Deno.build.os !== "linux", // where a connection can be reset
}, async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  far.reset();
  await client.receiveToEnd();
  await refuses(proxy.address, client.resumeContent(), 404);
});

Deno.test("stop() does not wait for clients that are told the end and stay", async () => {
  await using backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  (await backend.accept()).close();
  await client.receiveToEnd();
  const { link } = await ask(proxy.address, client.resumeContent());
  await proxy.stop();
  link.close();
});

Deno.test("the end is given again to a client that lost the last bytes of it", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await writeAll(far, pattern(0, 1000));
  far.close();
  await proxy.log.nth("upstream closed");
  await client.receive(400);
  client.link.close();
  await client.resume();
  assertSameBytes(await client.receiveToEnd(), pattern(400, 600));
});

Deno.test("a client that closes is lost: its backend stays until reuse_time is over, and gets all that was sent", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_time: "200ms" },
    shutdown_timeout: "10ms",
  });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await client.send(pattern(0, 50_000));
  await lingeringClose(client.link);
  assertSameBytes(await readToEnd(far), pattern(0, 50_000));
  far.close();
  assert.equal((await proxy.log.nth("session ended")).reason, "reuse_time is over");
  const { link, answer } = await ask(proxy.address, client.resumeContent());
  assert.equal(answer, "0\n404");
  link.close();
});

Deno.test("a session is resumed in the other dialect's form of answer, and stays what it was", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await RawClient.open(proxy.address);
  client.link.close();
  const { link, answer } = await ask(proxy.plainAddress, client.resumeContent());
  assert.equal(answer, "0\n200 OK");
  client.link = link;
  await client.send(pattern(0, 10));
  assertSameBytes(await client.receive(10), pattern(0, 10));
});

async function sendPattern(far: Link, total: number, progress: { written: number }): Promise<void> {
  for (; progress.written < total; progress.written += 2 ** 16) await writeAll(far, pattern(progress.written, 2 ** 16));
}

/** A resume that is answered with 200, how much was received of the client, and the end of the stream. */
async function expectEnd(address: string, client: RawClient, received = 0): Promise<void> {
  const { link, answer, rest } = await ask(address, client.resumeContent());
  assert.equal(answer, `${received}\n200`);
  assert.equal(rest.length, 0);
  assert.equal(await link.read(new Uint8Array(1)), null);
  link.close();
}

/** Gives the answer to what must be refused. */
async function refuses(address: string, content: string, code?: number): Promise<string> {
  const { link, answer } = await ask(address, content);
  link.close();
  if (code !== undefined) assert.equal(answer, `0\n${code}`);
  return answer;
}
