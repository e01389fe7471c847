import assert from "node:assert/strict";
import { Outgoing } from "../../../lib/scp/v2/outgoing.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { allOf, frame, streamOf, summaryOf } from "../../helpers/frames.ts";
import { attached, send, take } from "../../helpers/outgoing.ts";
import { pattern } from "../../helpers/random.ts";

const NOTHING = new Uint8Array(0);

Deno.test("a resume sends again what the peer lacks, from any position, FIN too", () => {
  for (const written of [0, 1, 5, 40, 100, 16500, 20000]) {
    for (let received = 0; received <= 20_000; received += received < 30 ? 1 : 997) {
      const outgoing = attached();
      for (const count of [1, 9, 10, 16385, 3594]) send(outgoing, count);
      outgoing.finish();
      take(outgoing, written);
      outgoing.attach(received, NOTHING);
      assert.deepEqual([outgoing.sent, outgoing.oldest, outgoing.acked], [20_000, received, 0]);
      const again = allOf(outgoing);
      const stream = streamOf(again);
      assertSameBytes(stream, pattern(received, Math.max(0, 19_999 - received)));
      assert.equal(summaryOf(again).endsWith("fin"), received < 20_000);
      assert.equal(again.length, stream.length + 3 * Math.ceil(stream.length / 16384) + (received < 20_000 ? 1 : 0));
    }
  }
});

Deno.test("`oldest` is what can be sent again from, be it acknowledged in the middle of a frame", () => {
  const outgoing = attached();
  send(outgoing, 100);
  allOf(outgoing);
  assert.equal(outgoing.oldest, 0);
  outgoing.acknowledged(30);
  assert.equal(outgoing.oldest, 30);
  outgoing.attach(50, NOTHING);
  assert.equal(outgoing.oldest, 50);
  assertSameBytes(streamOf(allOf(outgoing)), pattern(50, 50));
  outgoing.acknowledged(40);
  assert.deepEqual([outgoing.oldest, outgoing.acked], [50, 40]);
});

Deno.test("what goes before all else goes first, and is no part of the stream", () => {
  const outgoing = new Outgoing(65536, 65536);
  send(outgoing, 5);
  outgoing.attach(2, new TextEncoder().encode("answer"));
  outgoing.sayAck(7);
  assert.equal(new TextDecoder().decode(take(outgoing, 6)), "answer");
  assert.equal(summaryOf(allOf(outgoing)), "ack 7 data 3");
  outgoing.attach(2, new TextEncoder().encode("another"));
  take(outgoing, 3);
  outgoing.attach(2, NOTHING);
  assertSameBytes(allOf(outgoing), frame.data(pattern(2, 3)));
});
