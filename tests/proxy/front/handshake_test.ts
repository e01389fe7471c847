import assert from "node:assert/strict";
import { mock } from "node:test";
import { readRecord, writeAll } from "../../../lib/link/link.ts";
import { readToEnd } from "../../helpers/backend.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { ask, RawClient, record, tcp } from "../../helpers/raw_client.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

async function echoes(client: RawClient): Promise<void> {
  await client.send(pattern(0, 100));
  assertSameBytes(await client.receive(100), pattern(0, 100));
}

Deno.test("a record over 1 KiB is refused at its length, before its content comes", async () => {
  await using proxy = TestProxy.start(ECHO);
  const link = await tcp(proxy.address);
  await writeAll(link, Uint8Array.of(0x04, 0x01));
  assert.equal((await readRecord(link))?.content, "0\n400");
  link.close();
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /1025 bytes/);
});

Deno.test("a connection that says nothing is cut by handshake_timeout, and so is one that stops half-way", async () => {
  await using proxy = TestProxy.start({ ...ECHO, scp: { handshake_timeout: "100ms" } });
  for (const said of [[], [0], [...record("0\n782riWdFIwE=").subarray(0, 5)]]) {
    const link = await tcp(proxy.address);
    if (said.length > 0) await writeAll(link, Uint8Array.from(said));
    assert.equal(await link.read(new Uint8Array(1)), null);
    link.close();
  }
  assert.match(String((await proxy.log.nth("handshake failed", 3)).reason), /handshake_timeout of 100 ms/);
});

Deno.test("handshake_timeout does not touch a session that is idle", async () => {
  await using proxy = TestProxy.start({ ...ECHO, scp: { handshake_timeout: "50ms" } });
  using client = await RawClient.open(proxy.address);
  const silent = await tcp(proxy.address);
  assert.equal(await silent.read(new Uint8Array(1)), null);
  silent.close();
  await echoes(client);
});

Deno.test("200 silent connections do no harm", async () => {
  await using proxy = TestProxy.start(ECHO);
  const silent = await Promise.all(Array.from({ length: 200 }, () => tcp(proxy.address)));
  using client = await RawClient.open(proxy.address);
  await echoes(client);
  for (const link of silent) link.close();
});

Deno.test("garbage ends its own connection alone, with a line in the log for each", async () => {
  const random = new Random();
  await using proxy = TestProxy.start(ECHO);
  using client = await RawClient.open(proxy.address);
  for (let round = 1; round <= 50; round++) {
    const link = await tcp(proxy.address);
    await writeAll(link, random.bytes(random.int(1, 3000)));
    await link.closeWrite();
    const answer = await readRecord(link);
    assert(answer === undefined || answer.content === "0\n400", `seed ${random.seed}: ${answer?.content}`);
    link.close();
    await proxy.log.nth("handshake failed", round);
  }
  await echoes(client);
  assert.equal(proxy.log.of("internal error").length, 0);
});

Deno.test("a client that is reset in its handshake leaves nothing behind", async () => {
  await using proxy = TestProxy.start(ECHO);
  const link = await tcp(proxy.address);
  await writeAll(link, record("0\n782riWdFIwE=").subarray(0, 7));
  link.close();
  await proxy.log.nth("handshake failed");
  assert.equal(await proxy.size(), 0);
});

Deno.test("the new session's lines may be 2, 3, 4 or more", async () => {
  await using proxy = TestProxy.start(ECHO);
  for (const lines of ["", "\n", "\nname", "\nname\n4294967295", "\nname\n1\nmore\nlines"]) {
    const link = await tcp(proxy.plainAddress);
    await writeAll(link, record(`0\n782riWdFIwE=${lines}`));
    assert.match((await readRecord(link))!.content, /^[1-9][0-9]*\n[A-Za-z0-9+/]{11}=$/, JSON.stringify(lines));
    await writeAll(link, pattern(0, 10));
    const buffer = new Uint8Array(20);
    assert.equal(await link.read(buffer), 10);
    assertSameBytes(buffer.subarray(0, 10), pattern(0, 10));
    link.close();
  }
});

Deno.test("a refusal arrives although much more was sent than is read", async () => {
  await using proxy = TestProxy.start(ECHO);
  const link = await tcp(proxy.address);
  await writeAll(link, concat([record("what?"), pattern(0, 100_000)]));
  assertSameBytes(await readToEnd(link), record("0\n400"));
  // It was not reset, which could have overtaken the answer: more is still taken.
  for (let i = 0; i < 10; i++) await writeAll(link, pattern(0, 1000));
  link.close();
});

Deno.test("a refused client that does not close is cut by handshake_timeout", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    await using proxy = TestProxy.start({ ...ECHO, scp: { handshake_timeout: "1s" } });
    const { link, answer } = await ask(proxy.address, "what?");
    assert.equal(answer, "0\n400");
    assert.equal(await link.read(new Uint8Array(1)), null);
    mock.timers.tick(999);
    assert.equal((await proxy.stats()).closes, 0);
    mock.timers.tick(1);
    assert.equal((await proxy.stats()).closes, 1);
    link.close();
  } finally {
    mock.timers.reset();
  }
});
