import assert from "node:assert/strict";
import { mock } from "node:test";
import { Connection } from "../../helpers/version1_connection.ts";
import { decodeRecord, parseRequest } from "../../../lib/scp/mod.ts";
import { Backend, readExactly } from "../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { byHand } from "../../helpers/connection_by_hand.ts";
import type { ManualLink } from "../../helpers/manual_link.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { record, tcp } from "../../helpers/raw_client.ts";
import { turn } from "../../helpers/turns.ts";

type Hand = Awaited<ReturnType<typeof byHand>>;

/** What the client said of itself on a link that resumes. */
function resumeOn(link: ManualLink) {
  const told = parseRequest(decodeRecord(concat(link.written))!.content);
  assert(told.kind === "resume");
  return told;
}

/** The server's answer on the last link, which has received so much. */
async function answer({ links }: Hand, received: number): Promise<void> {
  links.at(-1)!.bring(record(`${received}\n200`));
  await turn();
}

/** Lets time pass until another link is dialled: how much it was, in steps of a quarter of a second; at most `most`. */
async function untilDialled({ links, pass }: Hand, most: number): Promise<number> {
  const before = links.length;
  let passed = 0;
  for (; links.length === before && passed < most; passed += 250) await pass(250);
  return passed;
}

Deno.test("a link that owes an answer for 10 s is replaced, and used until another one is answered", async () => {
  const lost: string[] = [];
  await using hand = await byHand({ onLost: (reason) => lost.push(reason) });
  const { connection, links, pass, resumed } = hand;
  const read = connection.read(new Uint8Array(1));
  await connection.write(pattern(0, 3));
  await pass(9_999);
  assert.equal(links.length, 1, "it was replaced earlier");
  await pass(1);
  assert.equal(links.length, 2, "it was not replaced");
  assert.deepEqual([resumeOn(links[1]!).index, resumeOn(links[1]!).received], [1, 0]);
  await connection.write(pattern(3, 2));
  assert.deepEqual([concat(links[0]!.written).slice(-2), links[0]!.closed], [pattern(3, 2), false]);
  assert.deepEqual(lost, []);
  await answer(hand, 1);
  assert.deepEqual([links[0]!.closed, resumed], [true, [1]]);
  assert.deepEqual(lost, ["nothing came for 10000 ms, though something was sent (silence)"]);
  assertSameBytes(links[1]!.written.at(-1)!, pattern(1, 4));
  links[1]!.bring(new Uint8Array([9]));
  assert.equal(await read, 1);
});

Deno.test("what a link brings while its place is being taken is received once, from whichever link stays", async () => {
  for (const stays of [false, true]) {
    await using hand = await byHand();
    const { connection, links, pass } = hand;
    const read = connection.read(new Uint8Array(9));
    await connection.write(pattern(0, 3));
    await pass(10_000);
    links[0]!.bring(new Uint8Array([7]));
    await turn();
    assert.equal(connection.bytes.received, 0, "it was counted after it was told what was received");
    links[1]!.bring(record(`${stays ? 0 : 3}\n${stays ? 501 : 200}`));
    await turn();
    assert.equal(links[0]!.closed, !stays);
    if (!stays) links[1]!.bring(new Uint8Array([7]));
    assert.equal(await read, 1);
    await pass(60_000);
    assert.equal(links.length, 2, "an answer came, and yet it was doubted");
    assert.equal(connection.bytes.received, 1);
  }
});

Deno.test("a link over which something comes while another one is dialled stays, and is watched again", async () => {
  const gates: (() => void)[] = [];
  const dialling = () => new Promise<void>((resolve) => gates.push(resolve));
  await using hand = await byHand({ dialling });
  const { connection, links, pass } = hand;
  void connection.read(new Uint8Array(1));
  await connection.write(pattern(0, 3));
  await pass(10_000);
  links[0]!.bring(new Uint8Array(1));
  await turn();
  void connection.read(new Uint8Array(1)).catch(() => {});
  gates[0]!();
  await turn();
  assert.deepEqual([links[0]!.closed, links[1]!.closed, links[1]!.written], [false, true, []]);
  await connection.write(pattern(0, 3));
  assert.equal(await untilDialled(hand, 60_000), 10_000);
  gates[1]!();
});

Deno.test("attempts to replace a link go on while they fail, until it is lost, or for giveUpAfter", async () => {
  let failing = true;
  const dialling = () => failing ? Promise.reject(new Error("no network")) : Promise.resolve();
  await using hand = await byHand({ dialling });
  const { connection, links, pass } = hand;
  void connection.read(new Uint8Array(1)).catch(() => {});
  await connection.write(pattern(0, 3));
  await pass(10_000);
  for (const pause of [25, 50, 100]) await pass(pause);
  assert.deepEqual([links.length, links[0]!.closed], [5, false]);
  links[0]!.bring(new Error("reset"));
  await turn();
  failing = false;
  await pass(200);
  await answer(hand, 3);
  assert.deepEqual(hand.resumed, [5]);
  assert.equal(await untilDialled(hand, 60_000), 10_000, "a link that was lost was taken for one that was well");
  await using impatient = await (mock.timers.reset(), byHand({ dialling, giveUpAfter: -1 }));
  failing = true;
  void impatient.connection.read(new Uint8Array(1)).catch(() => {});
  await impatient.connection.write(pattern(0, 3));
  await impatient.pass(10_000);
  await impatient.pass(9_000);
  assert.deepEqual([impatient.links.length, impatient.links[0]!.closed], [2, false], "it was not left alone");
  assert.equal(await untilDialled(impatient, 60_000), 1_000);
});

Deno.test("nothing more is dialled once something has come over a link that was doubted", async () => {
  await using hand = await byHand({ dialling: () => Promise.reject(new Error("no network")) });
  const { connection, links, pass } = hand;
  const read = connection.read(new Uint8Array(1));
  await connection.write(pattern(0, 3));
  await pass(10_000);
  links[0]!.bring(new Uint8Array(1));
  assert.equal(await read, 1);
  await pass(60_000);
  assert.equal(links.length, 2);
});

Deno.test("a write that the link does not take is owed an answer, though something came after it was asked for", async () => {
  await using hand = await byHand({ autoWrite: false });
  const { connection, links } = hand;
  const read = connection.read(new Uint8Array(1));
  for (let i = 0; i < 2; i++) await connection.write(pattern(0, 3));
  void connection.write(pattern(0, 3)).catch(() => {});
  links[0]!.bring(new Uint8Array(1));
  await read;
  void connection.read(new Uint8Array(1)).catch(() => {});
  assert.equal(await untilDialled(hand, 60_000), 12_500);
});

Deno.test("a link that owes nothing is left alone: nothing was written, or something came after it", async () => {
  await using hand = await byHand();
  const { connection, links, pass } = hand;
  const buffer = new Uint8Array(1);
  let read = connection.read(buffer);
  await pass(100_000);
  for (let round = 0; round < 3; round++) {
    await connection.write(pattern(0, 3));
    await pass(9_000);
    links[0]!.bring(new Uint8Array(1));
    await read;
    read = connection.read(buffer);
    await pass(2_000);
  }
  await pass(100_000);
  assert.equal(links.length, 1);
  read.catch(() => {});
});

Deno.test("silence: 0 never takes a link for dead", async () => {
  await using hand = await byHand({ silence: 0 });
  void hand.connection.read(new Uint8Array(1)).catch(() => {});
  await hand.connection.write(pattern(0, 3));
  assert.equal(await untilDialled(hand, 1_000_000), 1_000_000);
});

Deno.test("a silence that is longer than any timer is one of days, not of a millisecond", async () => {
  await using hand = await byHand({ silence: Infinity });
  void hand.connection.read(new Uint8Array(1)).catch(() => {});
  await hand.connection.write(pattern(0, 3));
  await hand.pass(2 ** 28 - 1);
  assert.equal(hand.links.length, 1);
  await hand.pass(1);
  assert.equal(hand.links.length, 2);
});

Deno.test("while nobody reads no link is taken for dead, nor replaced by retryNow(): bytes may wait in it", async () => {
  await using hand = await byHand();
  const { connection, links, pass } = hand;
  await connection.write(pattern(0, 3));
  assert.equal(await untilDialled(hand, 60_000), 60_000);
  connection.retryNow();
  await pass(0);
  assert.equal(links.length, 1);
  void connection.read(new Uint8Array(1)).catch(() => {});
  assert(await untilDialled(hand, 60_000) <= 10_000);
});

Deno.test("each resume of a link that was well doubles the silence, up to 32 times; one that was not undoes that", async () => {
  await using hand = await byHand();
  const { connection } = hand;
  const buffer = new Uint8Array(1);
  let read = connection.read(buffer);
  await connection.write(pattern(0, 3));
  const silences: number[] = [];
  for (let resumes = 0; resumes < 7; resumes++) {
    silences.push(await untilDialled(hand, 1_000_000));
    await answer(hand, 3);
  }
  // Within the first second what comes was missing.
  assert.deepEqual(silences, [10, 21, 41, 81, 161, 321, 321].map((s) => s * 1000));
  await hand.pass(1000);
  assert.equal(await untilDialled(hand, 1_000_000), 320_000);
  await answer(hand, 2);
  assert.equal(await untilDialled(hand, 1_000_000), 10_000, "something of ours was missing");
  await answer(hand, 3);
  assert.equal(await untilDialled(hand, 1_000_000), 21_000);
  await answer(hand, 3);
  hand.links.at(-1)!.bring(new Uint8Array(1));
  await read;
  read = connection.read(buffer);
  await connection.write(pattern(0, 3));
  assert.equal(await untilDialled(hand, 1_000_000), 11_000, "something of theirs was missing");
  read.catch(() => {});
});

Deno.test("a link that may hold more than can be sent again is not replaced for its silence", async () => {
  await using hand = await byHand({ cacheSize: 1000, autoWrite: false });
  const { connection, links } = hand;
  void connection.read(new Uint8Array(1)).catch(() => {});
  await connection.write(pattern(0, 800));
  await connection.write(pattern(0, 800));
  assert.equal(await untilDialled(hand, 100_000), 100_000);
  links[0]!.take();
  await turn();
  links[0]!.take();
  await connection.write(pattern(0, 100));
  // What it had taken before it took more has arrived: of that it is sure at the next look.
  assert(await untilDialled(hand, 100_000) <= 2500);
});

Deno.test("a link is replaced, whatever it took, when more can be sent again than the systems usually hold", async () => {
  await using hand = await byHand({ cacheSize: 16 * 2 ** 20 });
  void hand.connection.read(new Uint8Array(1)).catch(() => {});
  for (let i = 0; i < 17; i++) await hand.connection.write(new Uint8Array(2 ** 20));
  assert.equal(await untilDialled(hand, 60_000), 10_000);
});

Deno.test("retryNow() replaces a link that is there; hurry() does not", async () => {
  const lost: string[] = [];
  await using hand = await byHand({ onLost: (reason) => lost.push(reason) });
  const { connection, links, resumed } = hand;
  const read = connection.read(new Uint8Array(1));
  connection.hurry();
  await turn();
  assert.equal(links.length, 1);
  for (const at of [1, 2]) {
    connection.retryNow();
    await turn();
    assert.equal(links.length, at + 1, "it did not try at once");
    await answer(hand, 0);
    assert.deepEqual([links[at - 1]!.closed, links[at]!.closed], [true, false]);
  }
  assert.deepEqual([lost, resumed], [Array(2).fill("the network may have changed"), [1, 1]]);
  await connection.write(pattern(0, 3));
  assert.equal(await untilDialled(hand, 60_000), 10_000, "that was no silence");
  links.at(-1)!.bring(record("0\n404"));
  await assert.rejects(read, { code: 404 });
  connection.retryNow();
  await turn();
  assert.equal(links.length, 4, "it tried after the end");
});

Deno.test("an upload alone over a link that is well resumes ever more rarely, and loses nothing", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  let [dialled, resumed] = [0, 0];
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const connection = await Connection.open({
      dial: () => (dialled++, tcp(proxy.address)),
      onResumed: ({ resent }) => (resumed++, assert.equal(resent, 0)),
    });
    void connection.read(new Uint8Array(1)).catch(() => {});
    const far = await backend.accept();
    const at: number[] = [];
    for (let seconds = 0; seconds < 200; seconds++) {
      await connection.write(pattern(100 * seconds, 100));
      assertSameBytes(await readExactly(far, 100), pattern(100 * seconds, 100));
      mock.timers.tick(1000);
      while (resumed < dialled - 1) await turn();
      if (resumed > at.length) at.push(seconds);
    }
    const gaps = at.map((second, i) => second - (at[i - 1] ?? 0));
    assert.equal(gaps.length, 4);
    for (const [i, gap] of gaps.entries()) assert(i === 0 || gap > 1.5 * gaps[i - 1]!, gaps.join());
    connection.close();
  } finally {
    mock.timers.reset();
  }
});
