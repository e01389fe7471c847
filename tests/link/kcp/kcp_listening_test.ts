import assert from "node:assert/strict";
import { ReedSolomon } from "../../../lib/link/kcp/fec/reed_solomon.ts";
import { KcpListeningStage, nextOf } from "../../helpers/kcp_listening_stage.ts";
import { datagramOf } from "../../helpers/kcp_stage.ts";

Deno.test("a conversation begins with a PUSH whose sn is 0, and nothing else makes one", async () => {
  await using stage = new KcpListeningStage();
  // What is left of one that is forgotten.
  stage.input("a", { command: "push", sn: 5, data: "later" });
  stage.input("a", { command: "ack", sn: 0 });
  stage.input("a", { command: "ask" });
  assert.deepEqual([stage.links.length, stage.junk], [0, ["unknown", "unknown", "unknown"]]);
  assert.deepEqual(stage.sentTo("a"), []);
  stage.input("a", { command: "push", sn: 0, data: "hello" });
  assert.equal(await nextOf(stage.links[0]!), "hello");
  assert.deepEqual(stage.links[0]!.remote, { hostname: "a", port: 9 });
});

Deno.test("the first PUSH again, and others of its conversation, make no second one", async () => {
  await using stage = new KcpListeningStage();
  for (const data of ["hello", "hello"]) stage.input("a", { command: "push", sn: 0, data });
  stage.input("a", { command: "push", sn: 1, data: "again" });
  assert.equal(stage.links.length, 1);
  assert.equal(await nextOf(stage.links[0]!), "helloagain");
  assert.deepEqual([stage.stats.segments.repeated, stage.junk], [1, []]);
});

Deno.test("another conv at the same address takes its place with sn 0, and with another sn is dropped", async () => {
  await using stage = new KcpListeningStage();
  stage.input("a", { command: "push", sn: 0, data: "first" });
  assert.equal(await nextOf(stage.links[0]!), "first");
  stage.input("a", { conv: 7, command: "push", sn: 1, data: "other" });
  assert.deepEqual([stage.links.length, stage.junk], [1, ["conv"]]);
  stage.input("a", { conv: 7, command: "push", sn: 0, data: "second" });
  await assert.rejects(nextOf(stage.links[0]!), /another conversation has begun at its address/);
  assert.equal(await nextOf(stage.links[1]!), "second");
  stage.links[0]!.close();
  // That one is not forgotten with the one before.
  stage.input("a", { conv: 7, command: "push", sn: 1, data: "goes on" });
  assert.equal(await nextOf(stage.links[1]!), "goes on");
  assert.deepEqual([stage.gauges.conversations, stage.closes], [1, 1]);
});

Deno.test("each datagram that is none is counted by its cause", async () => {
  await using stage = new KcpListeningStage();
  stage.input("a", { command: "push", sn: 0 });
  const cut = datagramOf({ command: "push", data: "1234" }).slice(0, -1);
  const command = datagramOf({ command: "push" });
  command[4] = 80;
  const withFec = (bytes: Uint8Array, type: number) => Uint8Array.of(0, 0, 0, 0, type, 0, ...bytes);
  const junk = [new Uint8Array(0), new Uint8Array(23), new Uint8Array(1501), cut, command];
  const causes = ["short", "short", "long", "cut", "command"];
  for (const name of ["a", "b"]) {
    stage.junk.length = 0;
    for (const bytes of junk) stage.comes(name, bytes);
    stage.comes(name, withFec(new Uint8Array(30), 0xf1));
    assert.deepEqual(stage.junk, [...causes, "fec"], name);
  }
  stage.input("b", { conv: 9, command: "push", sn: 3 });
  assert.deepEqual(stage.stats.junk, {
    ...{ short: 4, long: 2, cut: 2, command: 2, fec: 2 },
    ...{ conv: 0, malformed: 0, unknown: 1, full: 0 },
  });
  await using coded = new KcpListeningStage({ fec: new ReedSolomon(3, 1) });
  coded.comes("a", withFec(Uint8Array.of(99, 0, 1, 2, 3), 0xf1));
  coded.comes("a", withFec(new Uint8Array(30), 0xf2));
  assert.deepEqual(coded.junk, ["malformed", "malformed"]);
  assert.equal(stage.links.length, 1);
});

Deno.test("no more than 2,048 conversations begin in a second, however many ask", async () => {
  await using stage = new KcpListeningStage();
  // No timer goes off meanwhile.
  for (let i = 0; i < 2050; i++) stage.input(`forged ${i}`, { command: "push", sn: 0 });
  assert.deepEqual([stage.links.length, stage.junk], [2048, ["full", "full"]]);
  stage.input("forged 2000", { command: "push", sn: 1, data: "is there" });
  assert.equal(await nextOf(stage.links[2000]!), "is there");
  for (const link of stage.links) link.close();
});

Deno.test("of conversations whose client's address is not proven there are 1,024 at most: the oldest is lost first", async () => {
  await using stage = new KcpListeningStage();
  stage.input("proven", { command: "push", sn: 0 });
  await stage.prove("proven", stage.links[0]!);
  for (let i = 0; i < 1024; i++) stage.input(`forged ${i}`, { command: "push", sn: 0 });
  assert.deepEqual([stage.gauges.conversations, stage.gauges.unproven], [1025, 1024]);
  for (let i = 0; i < 3; i++) stage.input(`more ${i}`, { command: "push", sn: 0 });
  assert.equal(stage.gauges.unproven, 1024);
  for (const i of [1, 2, 3]) {
    await assert.rejects(nextOf(stage.links[i]!), /too many others have begun whose addresses are not proven/);
    stage.links[i]!.close();
  }
  assert.equal(stage.gauges.conversations, 1025);
  for (const [i, name] of [[0, "proven"], [4, "forged 3"], [1027, "more 2"]] as const) {
    stage.input(name, { command: "push", sn: 1, data: "is there" });
    assert.equal(await nextOf(stage.links[i]!), "is there");
  }
  assert.deepEqual(stage.junk, []);
});

Deno.test("a client's address is proven by a ts that was sent there, and by nothing that can be guessed", async () => {
  await using stage = new KcpListeningStage();
  stage.input("a", { command: "push", sn: 0 });
  const [link] = stage.links;
  let isProven = false;
  const proof = link!.prove(Uint8Array.of(1, 2, 3)).then(() => isProven = true);
  await stage.prove("b", (stage.input("b", { command: "push", sn: 0 }), stage.links[1]!));
  const { ts } = stage.sentTo("a").find(({ command }) => command === "push")!;
  // All is acknowledged so, and nothing is proven.
  for (const echo of [0, (ts + 100_000) >>> 0]) stage.input("a", { command: "ack", sn: 0, ts: echo, una: 1 });
  await stage.prove("b", stage.links[1]!);
  assert.deepEqual([isProven, stage.gauges.unproven], [false, 1]);
  stage.input("a", { command: "ack", sn: 0, ts, una: 1 });
  await proof;
  assert.equal(stage.gauges.unproven, 0);
});

Deno.test("a conversation is lost after read_timeout without a byte of its stream, whatever else comes, but not while its bytes wait", async () => {
  await using stage = new KcpListeningStage({ readTimeout: 1 });
  for (const name of ["silent", "held up"]) stage.input(name, { command: "push", sn: 0, data: "x" });
  const [silent, heldUp] = stage.links;
  assert.equal(await nextOf(silent!), "x");
  stage.input("silent", { command: "ask" });
  await assert.rejects(nextOf(silent!), /nothing came for 1 ms \(read_timeout\)/);
  // Nobody has taken what this one said: one that is lost could not be written to.
  assert.equal(await heldUp!.write(Uint8Array.of(1)), 1);
  assert.equal(await nextOf(heldUp!), "x");
});

Deno.test("a listening that is not open begins nothing, those that there are go on, and when it is open again others begin", async () => {
  await using stage = new KcpListeningStage();
  stage.input("a", { command: "push", sn: 0 });
  stage.listening.isOpen = false;
  stage.input("b", { command: "push", sn: 0 });
  stage.input("a", { command: "push", sn: 1, data: "goes on" });
  assert.equal(await nextOf(stage.links[0]!), "goes on");
  assert.equal(stage.links.length, 1);
  stage.listening.isOpen = true;
  stage.input("b", { command: "push", sn: 0, data: "hello" });
  assert.equal(await nextOf(stage.links[1]!), "hello");
  await stage.listening.close();
  for (const link of stage.links) await assert.rejects(nextOf(link), /the listener is closed/);
  assert.equal(stage.isSocketClosed, true);
});
