import assert from "node:assert/strict";
import { concat } from "../../helpers/bytes.ts";
import { allOf, frame, framesOf, summaryOf } from "../../helpers/frames.ts";
import { attached, take } from "../../helpers/outgoing.ts";
import { pattern } from "../../helpers/random.ts";

Deno.test("what is to be said goes between two frames, wherever in them the link stopped to take, once", () => {
  const whole = concat([
    frame.ack(1),
    frame.move("x"),
    frame.data(pattern(0, 5)),
    frame.data(pattern(5, 6)),
    frame.fin(),
  ]);
  for (let taken = 0; taken <= whole.length; taken++) {
    const outgoing = attached();
    outgoing.sayAck(1);
    outgoing.sayMove("x");
    outgoing.send(pattern(0, 5));
    outgoing.send(pattern(5, 6));
    outgoing.finish();
    const first = outgoing.wire.slice(0, taken);
    assert.equal(outgoing.wire.length, whole.length);
    outgoing.wrote(taken);
    outgoing.sayPong(9);
    const then = allOf(outgoing);
    const frames = framesOf(concat([first, then]));
    assert.deepEqual(frames.filter(({ type }) => type !== "pong"), framesOf(whole), `after ${taken}`);
    // It goes as soon as the frame is over that was begun, but after what was said before it.
    const boundaries = [0, 5, 8, 16, 25, 26];
    const begun = Math.max(2, boundaries.findIndex((end) => end >= taken));
    assert.equal(frames.findIndex(({ type }) => type === "pong"), begun, `after ${taken}`);
  }
});

Deno.test("what is sent while DATA waits for the link takes nothing along: what is to be said goes before what waits", () => {
  const outgoing = attached();
  outgoing.send(pattern(0, 5));
  outgoing.send(pattern(5, 6));
  const first = take(outgoing, 4);
  outgoing.sayPong(1);
  outgoing.send(pattern(11, 7));
  assert.equal(summaryOf(concat([first, allOf(outgoing)])), "data 5 pong 1 data 6 data 7");
});

Deno.test("a close goes at the end of the frame that was begun, and what is behind it never", () => {
  for (let taken = 0; taken <= 17; taken++) {
    const outgoing = attached();
    outgoing.send(pattern(0, 5));
    outgoing.send(pattern(5, 6));
    const first = take(outgoing, taken);
    outgoing.sayClose(1, "bye");
    outgoing.send(pattern(11, 3));
    const expected = ["", "data 5 ", "data 5 data 6 "][taken === 0 ? 0 : taken <= 8 ? 1 : 2];
    // Where the link has taken all there was, the DATA that comes then waits behind the close too.
    assert.equal(summaryOf(concat([first, allOf(outgoing)])), `${expected}close 1 bye`, `after ${taken}`);
  }
});

Deno.test("it goes between two frames also long after it was last said, when those before are forgotten", () => {
  for (const taken of [4, 8, 9, 12, 16]) {
    const outgoing = attached();
    for (let at = 0; at < 40; at += 5) outgoing.send(pattern(at, 5));
    const begun = take(outgoing, 4);
    outgoing.sayPong(1);
    assert.equal(
      summaryOf(concat([begun, allOf(outgoing)])).slice(0, 13),
      "data 5 pong 1",
    );
    outgoing.acknowledged(30);
    for (let at = 40; at < 60; at += 5) outgoing.send(pattern(at, 5));
    const first = take(outgoing, taken);
    outgoing.sayPong(2);
    const frames = framesOf(concat([first, allOf(outgoing)])).map(({ type }) => type);
    assert.deepEqual([frames.indexOf("pong"), frames.length], [Math.ceil(taken / 8), 5], `${taken}`);
  }
});
