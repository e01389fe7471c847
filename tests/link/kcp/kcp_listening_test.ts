import assert from "node:assert/strict";
import { ReedSolomon } from "../../../lib/link/kcp/fec/reed_solomon.ts";
import { SUCCESSOR } from "../../../lib/link/kcp/away.ts";
import { FecEncoder } from "../../../lib/link/kcp/fec/encoder.ts";
import type { KcpLink } from "../../../lib/link/kcp/kcp_link.ts";
import { KcpListeningStage, nextOf } from "../../helpers/kcp_listening_stage.ts";
import { bytesOf, CONV, datagramOf, type Wanted } from "../../helpers/kcp_stage.ts";
import { leftBehind } from "../../helpers/left_behind.ts";
import { until } from "../../helpers/turns.ts";

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

/** Begins a conversation of a client that is not there, if one may begin: at the latest when it is asked for again. */
function begin(stage: KcpListeningStage, name: string): void {
  const { length } = stage.links;
  for (let i = 0; i < 2 && stage.links.length === length; i++) stage.input(name, { command: "push", sn: 0 });
}

Deno.test("256 conversations begin at once and 2,048 in a second, however many ask: none for long at a stretch", async () => {
  await using stage = new KcpListeningStage();
  let [asked, closed] = [0, 0];
  /** Whoever begins one is gone at once. */
  const ask = (count: number) => {
    for (let i = 0; i < count; i++) {
      begin(stage, `client ${asked++}`);
      for (const link of stage.links.slice(closed)) link.close();
      closed = stage.links.length;
    }
    return stage.links.length;
  };
  assert.deepEqual([ask(258), new Set(stage.junk)], [256, new Set(["full"])]);
  stage.now += 10;
  assert.equal(ask(100), 256 + 20);
  for (let i = 0; i < 99; i++) ask(100), stage.now += 10;
  assert.equal(ask(100), 256 + 2048);
  stage.now += 3_600_000;
  assert.equal(ask(300), 256 + 2048 + 256);
});

Deno.test("when 1,024 wait whose addresses are not proven, 64 others begin at once and in a second, until these have shown where they are", async () => {
  await using stage = new KcpListeningStage();
  let asked = 0;
  /** How many of so many begin, one each 10 ms. */
  const ask = (count: number) => {
    const before = stage.links.length;
    for (let i = 0; i < count; i++, stage.now += 10) begin(stage, `a${asked++}`);
    return stage.links.length - before;
  };
  assert.deepEqual([ask(1024), ask(50)], [1024, 50]);
  const replace = (count: number) => {
    const before = stage.links.length;
    for (let i = 0; i < count; i++) begin(stage, `a${asked++}`);
    return stage.links.length - before;
  };
  stage.now += 1000;
  assert.deepEqual([replace(300), stage.gauges.unproven], [64, 1024]);
  stage.now += 500;
  assert.equal(replace(300), 32);
  await stage.prove(stage.links.at(-1)!.remote.hostname, stage.links.at(-1)!);
  assert.deepEqual([stage.gauges.unproven, replace(3)], [1023, 1]);
});

Deno.test("128 conversations begin at once with the first datagram that asks for them, and 16 in a second, and all others with the second", async () => {
  await using stage = new KcpListeningStage();
  let asked = 0;
  const ask = (name: string, conv?: number) => {
    const before = stage.links.length;
    stage.input(name, { command: "push", sn: 0, ...(conv && { conv }) });
    return stage.links.length - before;
  };
  /** How many of so many begin. */
  const askAll = (count: number) => {
    let begun = 0;
    for (let i = 0; i < count; i++) begun += ask(`client ${asked++}`);
    return begun;
  };
  assert.deepEqual([askAll(130), stage.junk], [128, ["full", "full"]]);
  stage.now += 500;
  assert.equal(askAll(20), 8);
  // Others have asked meanwhile; who asks for another conversation has not asked for that one.
  assert.deepEqual([ask("client 129", CONV + 1), ask("client 128"), ask("client 129", CONV + 1)], [0, 1, 1]);
  stage.now += 3_600_000;
  assert.equal(askAll(200), 128);
});

Deno.test("whoever has shown where it is makes room for another with its first datagram, for 128 at the most", async () => {
  await using stage = new KcpListeningStage();
  // So many come that none would begin: all of them are there.
  for (let i = 0; i < 300; i++) {
    stage.now += 1;
    stage.input(`client ${i}`, { command: "push", sn: 0 });
    await stage.prove(`client ${i}`, stage.links.at(-1)!);
  }
  assert.deepEqual([stage.links.length, stage.junk], [300, []]);
  for (let i = 0; i < 200; i++) begin(stage, `other ${i}`);
  stage.now += 3_600_000;
  for (let i = 0; i < 200; i++) await stage.prove(`other ${i}`, stage.links[300 + i]!);
  for (let i = 0; i < 200; i++) stage.input(`more ${i}`, { command: "push", sn: 0 });
  assert.equal(stage.links.length, 300 + 200 + 128);
});

for (
  const [what, segment, cause] of [
    ["is of no conversation", { command: "push", sn: 5 }, "unknown"],
    ["asks for one more than may begin", { command: "push", sn: 0 }, "full"],
  ] as const
) {
  Deno.test(`what ${what} leaves no memory behind, whoever sends it`, async () => {
    await using stage = new KcpListeningStage();
    for (let i = 0; i < 128; i++) stage.input(`client ${i}`, { command: "push", sn: 0 });
    stage.listening.giveTo(2, bytesOf("a client of another thread") as Uint8Array<ArrayBuffer>, CONV);
    const datagram = datagramOf(segment);
    const left = leftBehind((round) => {
      for (let i = 0; i < 5000; i++) stage.comes(`a stranger, number ${round} ${i}`, datagram);
      stage.junk.length = 0;
    });
    assert(left < 100_000, `${left} bytes are left of 5,000 datagrams`);
    assert.equal(stage.stats.junk[cause], 18 * 5000);
  });
}

Deno.test("of a client's address no more is kept than it takes to answer, until it is proven", async () => {
  await using stage = new KcpListeningStage();
  for (const name of ["a", "b"]) stage.input(name, { command: "push", sn: 0 });
  assert.deepEqual(stage.kept, []);
  await stage.prove("b", stage.links[1]!);
  stage.input("b", { command: "push", sn: 1 });
  assert.deepEqual(stage.kept, ["b"]);
});

Deno.test("of conversations whose client's address is not proven there are 1,024 at most: the oldest is lost first", async () => {
  await using stage = new KcpListeningStage();
  stage.input("proven", { command: "push", sn: 0 });
  await stage.prove("proven", stage.links[0]!);
  for (let i = 0; i < 1024; i++) stage.now++, begin(stage, `forged ${i}`);
  assert.deepEqual([stage.gauges.conversations, stage.gauges.unproven], [1025, 1024]);
  for (let i = 0; i < 3; i++) begin(stage, `more ${i}`);
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
});

Deno.test("each of four threads has a quarter of those", async () => {
  await using stage = new KcpListeningStage({ threads: 4 });
  for (let i = 0; i < 300; i++) stage.now += 10, begin(stage, `forged ${i}`);
  assert.deepEqual([stage.gauges.conversations, stage.gauges.unproven], [300, 256]);
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

Deno.test("a conversation goes on where another thread or process goes on with it, and nothing is left where it was", async () => {
  await using old = new KcpListeningStage({ fec: new ReedSolomon(3, 1) });
  await using next = new KcpListeningStage({ fec: new ReedSolomon(2, 2) });
  old.input("a", { command: "push", sn: 0, data: "zero" }, { command: "push", sn: 2, data: "two" });
  await old.prove("a", old.links[0]!);
  assert.equal(await nextOf(old.links[0]!), "zero");
  old.input("a", { command: "push", sn: 1, data: "one" });
  const { fd, remains } = (await old.links[0]!.carriedBy.giveAway())!;
  assert.deepEqual([fd, old.gauges.conversations, old.closes], [old.fd, 0, 0]);
  assert.equal(await old.links[0]!.carriedBy.giveAway(), undefined);
  // What its session had not dealt with is first.
  const link = next.adopt({
    ...structuredClone(remains),
    came: bytesOf("before ") as Uint8Array<ArrayBuffer>,
  });
  assert.deepEqual(link.remote, old.links[0]!.remote);
  assert.equal(await nextOf(link), "before onetwo");
  await link.write(bytesOf("answer") as Uint8Array<ArrayBuffer>);
  await until(
    () => next.sentTo("a").some(({ command, data }) => command === "push" && data === "answer"),
    () => "nothing",
  );
  const pushed = next.sentTo("a").find(({ command }) => command === "push")!;
  assert.deepEqual([pushed.sn, pushed.una], [1, 3]);
  assert.deepEqual([next.gauges.conversations, next.gauges.unproven, next.junk], [1, 0, []]);
  link.close();
  assert.deepEqual([next.gauges.conversations, next.closes], [0, 1]);
  // The old one has none, and begins none by what comes late.
  old.input("a", { command: "push", sn: 0, data: "zero" });
  assert.deepEqual([old.links.length, old.junk], [1, []]);
});

Deno.test("what comes for a conversation that has left is given to the other process, until it is back, or that one reads by itself", async () => {
  await using old = new KcpListeningStage();
  old.input("a", { command: "push", sn: 0, data: "zero" });
  const leave = async (link: KcpLink) => (await link.carriedBy.giveAway())!.remains;
  const given = () => old.away.splice(0).map(([thread, came]) => [thread, came.length]);
  const remains = await leave(old.links[0]!);
  old.input("a", { command: "push", sn: 1, data: "one" });
  old.input("a", { conv: 5, command: "push", sn: 1 }); // of another one
  assert.deepEqual([given(), old.junk], [[], ["unknown"]]);
  old.input("a", { command: "push", sn: 2, data: "two" });
  old.round();
  assert.deepEqual(given(), [[SUCCESSOR, 2]]);
  const back = old.adopt(remains);
  assert.equal(await nextOf(back), "zero");
  old.input("a", { command: "push", sn: 1, data: "one" });
  old.round();
  assert.deepEqual([await nextOf(back), given()], ["one", []]);
  await leave(back);
  old.listening.accept();
  old.input("a", { command: "push", sn: 3 });
  old.round();
  assert.deepEqual([given(), old.junk], [[], ["unknown", "unknown"]]);
});

Deno.test("a conversation that another thread had, and that has left from there, is the other process's as well", async () => {
  await using reads = new KcpListeningStage();
  reads.listening.giveTo(7, bytesOf("a"), CONV);
  reads.listening.giveTo(SUCCESSOR, bytesOf("a"), CONV);
  reads.input("a", { command: "push", sn: 1 });
  reads.round();
  reads.listening.giveTo(7, bytesOf("a"), CONV); // it is back
  reads.input("a", { command: "push", sn: 2 });
  reads.round();
  assert.deepEqual(reads.away.map(([thread, came]) => [thread, came.length]), [[SUCCESSOR, 1], [7, 1]]);
});

Deno.test("what another process gives may come before its conversation, of this thread or of another, and waits for that", async () => {
  await using old = new KcpListeningStage();
  await using next = new KcpListeningStage();
  for (const name of ["a", "b"]) old.input(name, { command: "push", sn: 0, data: "zero" });
  const [ofA] = await Promise.all(old.links.map(({ carriedBy }) => carriedBy.giveAway()));
  for (const sn of [1, 2]) for (const name of ["a", "b"]) old.input(name, { command: "push", sn, data: `${sn}` });
  old.round();
  next.listening.expect();
  for (const [, came] of old.away) next.listening.take(came);
  assert.deepEqual([next.links, next.junk, next.away], [[], [], []]);
  assert.equal(await nextOf(next.adopt(ofA!.remains)), "zero12");
  next.listening.giveTo(7, bytesOf("b"), CONV);
  assert.deepEqual(next.away.map(([thread, came]) => [thread, came.length]), [[7, 2]]);
  // From then on it has all.
  next.listening.accept();
  next.input("c", { command: "push", sn: 1 });
  assert.deepEqual(next.junk, ["unknown"]);
});

Deno.test("of what comes before its conversations 1,024 datagrams are kept", async () => {
  await using next = new KcpListeningStage();
  next.listening.expect();
  for (let sn = 0; sn < 1030; sn++) next.input("a", { command: "push", sn: sn % 100 });
  next.listening.giveTo(7, bytesOf("a"), CONV);
  for (let sn = 0; sn < 3; sn++) next.input("b", { command: "push", sn });
  next.listening.giveTo(8, bytesOf("b"), CONV);
  assert.deepEqual(next.away.map(([thread, came]) => [thread, came.length]), [[7, 1024], [8, 3]]);
});

Deno.test("an end and a fault that were not told go along", async () => {
  await using old = new KcpListeningStage();
  await using next = new KcpListeningStage();
  old.input("a", { command: "push", sn: 0 });
  old.links[0]!.carriedBy.lose("a fault");
  const { remains } = (await old.links[0]!.carriedBy.giveAway())!;
  assert.equal(remains.isOver, false);
  await assert.rejects(nextOf(next.adopt(remains)), /a fault/);
});

Deno.test("one that cannot go along, as no descriptor is left, is closed", async () => {
  await using stage = new KcpListeningStage();
  stage.input("a", { command: "push", sn: 0 });
  stage.fd = -1;
  assert.equal(await stage.links[0]!.carriedBy.giveAway(), undefined);
  assert.deepEqual([stage.gauges.conversations, stage.closes], [0, 1]);
});

Deno.test("what comes for a conversation of another thread is given to that, until it is taken back or another one begins", async () => {
  await using reads = new KcpListeningStage({ fec: new ReedSolomon(3, 1) });
  await using has = new KcpListeningStage();
  has.input("a", { command: "push", sn: 0 });
  reads.listening.giveTo(7, bytesOf("a"), CONV);
  reads.input("a", { command: "push", sn: 0, data: "late" }); // begins none
  reads.input("a", { command: "push", sn: 1, data: "one" });
  reads.comes("a", Uint8Array.of(3, 0, 0, 0, 0xf2, 0, 1, 2, 3)); // parity names no conversation
  reads.input("a", { conv: 5, command: "push", sn: 1 });
  assert.deepEqual([reads.away, reads.junk], [[], ["unknown"]]);
  reads.round();
  assert.deepEqual(reads.away.map(([thread, came]) => [thread, came.length]), [[7, 3]]);
  has.listening.take(reads.away[0]![1].slice(0, 2));
  assert.equal(await nextOf(has.links[0]!), "one");
  reads.listening.takeBack(bytesOf("a"));
  reads.input("a", { command: "push", sn: 2 });
  reads.listening.giveTo(7, bytesOf("a"), CONV);
  reads.input("a", { conv: 5, command: "push", sn: 0 });
  reads.input("a", { command: "push", sn: 2 });
  reads.round();
  assert.deepEqual([reads.away.length, reads.links.length, reads.junk], [1, 1, ["unknown", "unknown", "conv"]]);
});

Deno.test("FEC goes on with the next group, and what is not of such numbers does not", async () => {
  const code = new ReedSolomon(3, 1);
  await using old = new KcpListeningStage({ fec: code });
  await using next = new KcpListeningStage({ fec: code });
  const encoder = new FecEncoder(code);
  const withFec = (...segments: Wanted[]) => {
    let bytes: Uint8Array<ArrayBuffer>;
    encoder.encode(datagramOf(...segments), (datagram) => bytes ??= datagram.slice());
    return bytes!;
  };
  old.comes("a", withFec({ command: "push", sn: 0, data: "zero" }));
  await until(() => old.sentTo("a").length > 0, () => "nothing was sent"); // datagram 0, of group 0
  const { remains } = (await old.links[0]!.carriedBy.giveAway())!;
  const { conversation } = remains;
  assert.deepEqual(conversation.fec, { data: 3, parity: 1, next: 4 });
  const half = { ...conversation, fec: { data: 3, parity: 1, next: 5 } };
  assert.throws(() => next.adopt({ ...remains, conversation: half }), RangeError);
  const link = next.adopt(remains);
  assert.equal(await nextOf(link), "zero");
  next.comes("a", withFec({ command: "push", sn: 1, data: "one" }));
  assert.equal(await nextOf(link), "one");
  await until(() => next.seqids.length > 0, () => "nothing was sent");
  assert.equal(next.seqids[0], 4);
});
