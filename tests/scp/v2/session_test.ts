import assert from "node:assert/strict";
import { type AckedSession, FrameError } from "../../../lib/scp/v2/mod.ts";
import { openAcked } from "../../helpers/acked_session.ts";
import { concat } from "../../helpers/bytes.ts";
import { allOf, frame, summaryOf } from "../../helpers/frames.ts";
import { all, none } from "../../helpers/consumers.ts";
import { pattern } from "../../helpers/random.ts";

/** These frames come, of which the consumer takes all. */
const bring = (session: AckedSession, ...frames: Uint8Array[]) => session.receive(concat(frames), all);

Deno.test("an ACK that says something new goes in front of the DATA that is sent anyway, in one piece", () => {
  const session = openAcked();
  bring(session, frame.data(pattern(0, 10)));
  assert.deepEqual([session.isDue, session.owesAck, session.wire.length], [false, true, 0]);
  session.send(pattern(0, 3));
  assert.equal(summaryOf(session.wire), "ack 10 data 3");
  session.wrote(session.wire.length);
  session.send(pattern(3, 3));
  assert.equal(summaryOf(session.wire), "data 3");
});

Deno.test("it goes with whatever else is said, and not before, until it is due", () => {
  const session = openAcked({ window: 4096 });
  bring(session, frame.data(pattern(0, 1023)));
  assert.equal(allOf(session).length, 0);
  bring(session, frame.ping(8));
  assert.equal(session.isDue, true);
  assert.equal(summaryOf(allOf(session)), "ack 1023 pong 8");
  bring(session, frame.data(pattern(0, 1023)));
  session.sayPing();
  assert.equal(summaryOf(allOf(session)), "ack 2046 ping 1");
  bring(session, frame.data(pattern(0, 1023)));
  assert.deepEqual([session.isDue, session.wire.length], [false, 0]);
  bring(session, frame.data(pattern(0, 1)));
  assert.equal(session.isDue, true);
  assert.equal(summaryOf(allOf(session)), "ack 3070");
  assert.equal(session.isDue, false);
});

Deno.test("the same ACK is said again when that is asked for", () => {
  const session = openAcked();
  bring(session, frame.data(pattern(0, 5)));
  for (let i = 0; i < 2; i++) {
    session.sayAck();
    assert.deepEqual([session.owesAck, session.isDue], [true, true]);
    assert.equal(summaryOf(allOf(session)), "ack 5");
  }
});

Deno.test("PINGs are numbered, and each is answered with its number, the last of those that came together", () => {
  const session = openAcked();
  session.sayPing();
  assert.equal(summaryOf(allOf(session)), "ping 1");
  session.sayPing();
  assert.equal(summaryOf(allOf(session)), "ping 2");
  bring(session, frame.ping(2 ** 32 - 1), frame.pong(77), frame.ping(0));
  assert.equal(summaryOf(allOf(session)), "pong 0");
});

Deno.test("a peer that sends PINGs and DATA and takes nothing makes no memory grow", () => {
  const session = openAcked({ window: 4096 });
  session.send(pattern(0, 65536));
  session.wrote(100);
  const { cacheInUse } = session;
  for (let i = 0; i < 2000; i++) {
    bring(session, frame.ping(i), frame.data(pattern(0, 1)));
    void session.wire;
  }
  assert.deepEqual([session.cacheInUse, session.windowInUse], [cacheInUse, 0]);
});

Deno.test("DATA that does not fit is refused at its header, whatever came before it in the same piece", () => {
  const session = openAcked({ window: 4096 });
  session.receive(frame.data(pattern(0, 1000)), none);
  session.receive(concat([frame.data(pattern(0, 96)), frame.data(pattern(0, 3000))]), none);
  assert.equal(session.received, 4096);
  assert.throws(() => session.receive(Uint8Array.of(1, 0, 1), none), FrameError);
  const other = openAcked({ window: 4096 });
  assert.throws(
    () => other.receive(concat([frame.data(pattern(0, 96)), Uint8Array.of(1, 0x0f, 0xa1)]), all),
    FrameError,
  );
  const third = openAcked({ window: 4096 });
  assert.throws(() => third.receive(concat([frame.data(pattern(0, 4096)), frame.fin()]), all), FrameError);
});

Deno.test("DATA and FIN after FIN are refused, in the same piece and in a later one", () => {
  for (const after of [frame.data(pattern(0, 1)), frame.fin()]) {
    assert.throws(() => bring(openAcked(), frame.fin(), after), FrameError);
    const session = openAcked();
    bring(session, frame.data(pattern(0, 2)), frame.fin());
    assert.deepEqual([session.received, session.consumed, session.isAtEnd], [3, 2, true]);
    bring(session, frame.ack(0), frame.ping(1), frame.other(200, 3));
    assert.throws(() => bring(session, after), FrameError);
  }
});

Deno.test("half a close: each direction ends by itself, and both ends know", () => {
  const session = openAcked();
  session.finish();
  const finished = () => [session.snapshot.outgoing.finish, session.snapshot.incoming.isFinished];
  assert.deepEqual([...finished(), session.room], ["sent", false, 0]);
  assert.equal(summaryOf(allOf(session)), "fin");
  bring(session, frame.data(pattern(0, 3)), frame.ack(1));
  assert.deepEqual([session.isSentDone, session.isReceivedDone], [true, false]);
  bring(session, frame.fin());
  assert.deepEqual([finished()[1], session.isAtEnd, session.isReceivedDone], [true, true, false]);
  session.consumeEnd();
  assert.deepEqual([session.isAtEnd, session.isReceivedDone, session.isDue], [false, true, true]);
  assert.equal(summaryOf(allOf(session)), "ack 4");
});

Deno.test("the end that waited for room is due as soon as an ACK makes some", () => {
  const session = openAcked({ peerWindow: 4096 });
  session.send(pattern(0, 4096));
  session.finish();
  allOf(session);
  assert.equal(session.isDue, false);
  bring(session, frame.ack(4096));
  assert.equal(session.isDue, true, "nobody else would have it sent");
  assert.equal(summaryOf(allOf(session)), "fin");
});

Deno.test("what waits for the consumer is told, and what is no part of the stream asks nobody to take it", () => {
  const session = openAcked();
  session.receive(frame.data(pattern(0, 9)), none);
  session.receive(concat([frame.ping(1), frame.ack(0)]), { take: () => assert.fail("it is asked") });
  assert.equal(session.waiting, 9);
  session.drain({ take: (bytes) => Math.min(bytes.length, 4) });
  assert.deepEqual([session.waiting, session.consumed, session.received], [5, 4, 9]);
});

Deno.test("bytes are counted without the ends of the streams", () => {
  const session = openAcked({ peerWindow: 4096 });
  bring(session, frame.data(pattern(0, 9)));
  session.send(pattern(0, 4096));
  session.finish();
  assert.deepEqual(session.bytes, { received: 9, sent: 4096 });
  bring(session, frame.ack(1), frame.fin());
  assert.deepEqual([session.received, session.sent], [10, 4097]);
  assert.deepEqual(session.bytes, { received: 9, sent: 4096 });
});

Deno.test("bytes that come before a CLOSE are given, and nothing of what comes after", () => {
  const session = openAcked();
  assert.equal(session.closed, undefined);
  bring(session, frame.data(pattern(0, 5)), frame.close(2, "gone"), frame.data(pattern(0, 5)), Uint8Array.of(0));
  assert.deepEqual([session.consumed, session.received, session.closed], [5, 5, { code: 2, reason: "gone" }]);
});

Deno.test("a MOVE is told once, the last of several", () => {
  const session = openAcked();
  assert.equal(session.takeMove(), undefined);
  bring(session, frame.move("a"), frame.move(""));
  assert.equal(session.takeMove(), "");
  assert.equal(session.takeMove(), undefined);
  session.sayMove("b");
  session.sayClose(1, "c");
  assert.equal(summaryOf(allOf(session)), "move b close 1 c");
});
