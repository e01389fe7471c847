import assert from "node:assert/strict";
import { type Duty, Liveness } from "../../../lib/scp/v2/mod.ts";

interface Moment {
  /** Milliseconds since the link is there. */
  at: number;
  heard?: boolean;
  said?: boolean;
  /** Bytes of the stream that came in all. */
  received?: number;
  owesAck?: boolean;
  isUnacked?: boolean;
  duty?: Duty;
}

/** What is to be done at each of these looks, of a side with an interval of 15 s and a timeout of 10 s, unless told otherwise. */
function looks(moments: Moment[], options = {}): void {
  looksOf(moments, options, { isMoved: false });
  looksOf(moments, options, { isMoved: true });
}

/** `isMoved`: before each look, and after it, the side goes on where the clock is another. */
function looksOf(moments: Moment[], options: object, { isMoved }: { isMoved: boolean }): void {
  let start = 1e9 + 0.25;
  const all = { pingInterval: 15_000, pingTimeout: 10_000, ...options };
  let liveness = new Liveness(all, start);
  const move = (at: number) => {
    if (!isMoved) return;
    const snapshot = structuredClone(liveness.snapshotAt(start + at));
    start += 1e6;
    liveness = Liveness.restore(all, start + at, snapshot);
  };
  let received = 0;
  for (const moment of moments) {
    if (moment.heard) liveness.heard();
    if (moment.said) liveness.said();
    received = moment.received ?? received;
    const { owesAck = false, isUnacked = false } = moment;
    move(moment.at);
    const duty = liveness.look(start + moment.at, { owesAck, isUnacked, received });
    move(moment.at);
    assert.equal(duty, moment.duty, `at ${moment.at} ms`);
  }
}

/** One look a second, from a second on. */
const every = (seconds: number, of: (second: number) => Omit<Moment, "at">): Moment[] =>
  Array.from({ length: seconds }, (_, i) => ({ at: 1000 * (i + 1), ...of(i + 1) }));

Deno.test("silence of both for the interval: a PING, once, and after the timeout the link is lost", () => {
  looks(every(25, (second) => second === 15 ? { duty: "ping" } : second === 25 ? { duty: "lost" } : {}));
  looks([{ at: 14_999 }, { at: 15_000, duty: "ping" }, { at: 24_999 }, { at: 25_000, duty: "lost" }]);
});

Deno.test("who has said nothing for the interval sends a PING, though it hears", () => {
  looks(every(30, (second) => ({ heard: true, ...second === 15 && { duty: "ping" } })));
});

Deno.test("who has heard nothing for the interval sends a PING, though it says something", () => {
  looks(
    every(25, (second) => ({ said: true, ...second === 15 && { duty: "ping" }, ...second === 25 && { duty: "lost" } })),
  );
});

Deno.test("whatever is heard after the PING puts the loss off, and the next PING too", () => {
  looks([
    { at: 15_000, duty: "ping" },
    { at: 24_000, heard: true },
    { at: 38_999, said: true },
    { at: 39_000, duty: "ping" },
    { at: 48_999 },
    { at: 49_000, heard: true },
    { at: 50_000 },
    { at: 64_000, duty: "ping" },
    { at: 74_000, duty: "lost" },
  ]);
});

Deno.test("a PING counts as said", () => {
  looks([{ at: 15_000, duty: "ping" }, { at: 16_000, heard: true }, { at: 30_999, heard: true }, {
    at: 31_000,
    duty: "ping",
  }]);
});

Deno.test("with something unacknowledged 5 s of silence are enough, but what this side says is not silence of the other", () => {
  looks([
    { at: 4999, isUnacked: true, said: true },
    { at: 5000, isUnacked: true, said: true, duty: "ping" },
    { at: 14_999, isUnacked: true, said: true },
    { at: 15_000, isUnacked: true, said: true, duty: "lost" },
  ]);
  looks(every(14, () => ({ isUnacked: true, heard: true, said: true })));
  looks([{ at: 5000 }, { at: 14_999 }]);
  looks([{ at: 2000, isUnacked: true, duty: "ping" }], { pingInterval: 2000 });
});

Deno.test("an interval of 0 switches off all PINGs, and no link is lost", () => {
  looks(every(100, () => ({ isUnacked: true })), { pingInterval: 0 });
  looks([{ at: 1000, owesAck: true, duty: "ack" }], { pingInterval: 0 });
});

Deno.test("the timeout counts from the first PING", () => {
  const options = { pingInterval: 1000, pingTimeout: 3000 };
  looks([{ at: 1000, duty: "ping" }, { at: 2000 }, { at: 3999 }, { at: 4000, duty: "lost" }], options);
});

Deno.test("an ACK that is owed is said at the next look, be it a little early or late", () => {
  looks([
    { at: 999.5 },
    { at: 1999, owesAck: true, duty: "ack" },
    { at: 2998, owesAck: true, duty: "ack" },
    { at: 3999 },
    { at: 4998.75, owesAck: true, duty: "ack" },
  ]);
});

Deno.test("while a PING is not answered ACKs are said all the same", () => {
  looks([
    { at: 15_000, duty: "ping", owesAck: true },
    { at: 16_000, owesAck: true, duty: "ack" },
    { at: 25_000, owesAck: true, duty: "lost" },
  ]);
});

Deno.test("while bytes of the stream come in a side says something every 2 s, the same ACK again", () => {
  looks(
    every(
      20,
      (second) => ({ heard: true, received: 100 * second, said: second % 2 === 0, ...second % 2 && { duty: "ack" } }),
    ),
  );
  // Looks that come a little early or late change nothing.
  looks([
    { at: 1000.5, heard: true, received: 1, said: true },
    { at: 2000, heard: true, received: 2, duty: "ack" },
    { at: 3000.5, heard: true, received: 3, said: true },
    { at: 3999.5, heard: true, received: 4, duty: "ack" },
  ]);
  looks(every(14, (second) => ({ heard: true, said: true, received: second })));
});

Deno.test("what is no part of the stream needs no answer of that kind: two idle ends would talk for ever", () => {
  const answered = { at: 1000, heard: true, received: 5, said: true };
  looks([answered, { at: 2000, heard: true }, { at: 3000, heard: true }, { at: 4000 }, { at: 7000, heard: true }]);
});
