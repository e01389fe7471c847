import assert from "node:assert/strict";
import type { Outgoing } from "../../../lib/scp/v2/outgoing.ts";
import { allOf, summaryOf } from "../../helpers/frames.ts";
import { attached } from "../../helpers/outgoing.ts";
import { pattern } from "../../helpers/random.ts";
import { concat } from "../../helpers/bytes.ts";

const NOTHING = new Uint8Array(0);

/** Says one of each but the close. */
function sayAll(outgoing: Outgoing): void {
  outgoing.sayMove("wss://a.example/é");
  outgoing.sayPing(2);
  outgoing.sayPong(3);
  outgoing.sayAck(2 ** 32 + 4);
}

Deno.test("what is to be said goes in one piece, the close last, and nothing after", () => {
  const outgoing = attached();
  outgoing.sayClose(3, "größer");
  sayAll(outgoing);
  assert.deepEqual([outgoing.isEmpty, outgoing.hasSomethingToSay], [false, true]);
  const { wire } = outgoing;
  assert.equal(summaryOf(wire), "ack 4 pong 3 ping 2 move wss://a.example/é close 3 größer");
  outgoing.wrote(wire.length);
  assert.equal(outgoing.isEmpty, true);
  sayAll(outgoing);
  outgoing.send(pattern(0, 10));
  outgoing.finish();
  outgoing.sayClose(4, "again");
  assert.equal(allOf(outgoing).length, 0);
});

Deno.test("each of them alone is something to say, and nothing is when it was said", () => {
  const says: [string, (outgoing: Outgoing) => void][] = [
    ["ack 0", (outgoing) => outgoing.sayAck(0)],
    ["ping 0", (outgoing) => outgoing.sayPing(0)],
    ["pong 0", (outgoing) => outgoing.sayPong(0)],
    ["move ", (outgoing) => outgoing.sayMove("")],
    ["close 0 ", (outgoing) => outgoing.sayClose(0, "")],
  ];
  for (const [expected, say] of says) {
    const outgoing = attached();
    assert.deepEqual([outgoing.isEmpty, outgoing.hasSomethingToSay, outgoing.wire.length], [true, false, 0]);
    say(outgoing);
    assert.deepEqual([outgoing.isEmpty, outgoing.hasSomethingToSay], [false, true]);
    const first = outgoing.wire.slice(0, 1);
    assert.equal(outgoing.hasSomethingToSay, false);
    outgoing.wrote(1);
    assert.equal(outgoing.isEmpty, false, expected);
    assert.equal(summaryOf(concat([first, allOf(outgoing)])), expected);
    assert.equal(outgoing.isEmpty, true);
  }
});

Deno.test("at most one ACK, one PONG and one PING wait: a later one replaces an earlier", () => {
  const outgoing = attached();
  for (let i = 1; i <= 1000; i++) {
    outgoing.sayAck(i);
    outgoing.sayPong(i);
    outgoing.sayPing(i);
    outgoing.sayMove(`${i}`);
  }
  assert.equal(summaryOf(allOf(outgoing)), "ack 1000 pong 1000 ping 1000 move 1000");
  assert.equal(outgoing.allocated, 0);
});

Deno.test("a link that takes nothing makes no memory grow, whatever is said, and what is half taken is taken whole", () => {
  const outgoing = attached();
  outgoing.sayPong(1);
  const half = outgoing.wire.slice(0, 2);
  outgoing.wrote(2);
  for (let i = 2; i <= 1000; i++) {
    outgoing.sayPong(i);
    outgoing.sayAck(i);
    assert.equal(outgoing.wire.length, 3);
  }
  assert.equal(outgoing.allocated, 0);
  assert.equal(summaryOf(concat([half, allOf(outgoing)])), "pong 1 ack 1000 pong 1000");
});

Deno.test("where nothing waits for the link, what is to be said lies in front of the DATA, or the FIN, in one piece", () => {
  const outgoing = attached();
  sayAll(outgoing);
  outgoing.send(pattern(0, 10));
  const first = outgoing.wire;
  assert.equal(summaryOf(first), "ack 4 pong 3 ping 2 move wss://a.example/é data 10");
  outgoing.wrote(first.length);
  outgoing.sayAck(5);
  outgoing.finish();
  assert.equal(summaryOf(outgoing.wire), "ack 5 fin");
});

Deno.test("what was said is never sent again, and what was not said goes with the link", () => {
  for (const isTaken of [true, false]) {
    const outgoing = attached();
    sayAll(outgoing);
    outgoing.send(pattern(0, 10));
    outgoing.sayPong(4);
    outgoing.send(pattern(10, 10));
    if (isTaken) allOf(outgoing);
    else sayAll(outgoing);
    outgoing.attach(0, NOTHING);
    assert.equal(summaryOf(allOf(outgoing)), "data 20");
    outgoing.sayAck(1);
    assert(outgoing.wire.length > 1);
    outgoing.wrote(1);
    outgoing.attach(20, NOTHING);
    assert.equal(outgoing.isEmpty, true);
    assert.equal(outgoing.wire.length, 0);
  }
});

Deno.test("what was said between DATA is forgotten with it, and in the middle of it all is well", () => {
  const outgoing = attached();
  for (let i = 0; i < 50; i++) {
    sayAll(outgoing);
    outgoing.send(pattern(10 * i, 10));
    allOf(outgoing);
  }
  outgoing.acknowledged(245);
  outgoing.sayPing(1);
  outgoing.send(pattern(500, 10));
  assert.equal(summaryOf(allOf(outgoing)), "ping 1 data 10");
  outgoing.attach(250, NOTHING);
  assert.equal(summaryOf(allOf(outgoing)), "data 260");
  outgoing.acknowledged(510);
  outgoing.trim();
  assert.equal(outgoing.allocated, 0);
});

Deno.test("what is sent between two links goes over the next, and what is said meanwhile does not", () => {
  const outgoing = attached();
  outgoing.sayAck(1);
  outgoing.send(pattern(0, 10));
  outgoing.finish();
  outgoing.sayPong(2);
  outgoing.attach(0, NOTHING);
  assert.equal(summaryOf(allOf(outgoing)), "data 10 fin");
});
