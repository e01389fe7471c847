import assert from "node:assert/strict";
import fc from "fast-check";
import { AckedSession, FrameError } from "../../../lib/scp/v2/mod.ts";
import { ringOf } from "../../helpers/acked_end.ts";
import { concat } from "../../helpers/bytes.ts";
import { frame } from "../../helpers/frames.ts";
import { none } from "../../helpers/consumers.ts";
import { pattern } from "../../helpers/random.ts";

const NOTHING = new Uint8Array(0);

const anyFrame = fc.oneof(
  fc.integer({ min: 1, max: 5000 }).map((n) => frame.data(pattern(0, n))),
  fc.oneof(fc.nat(3000), fc.nat(2 ** 32 - 1)).map((position) => frame.ack(position)),
  fc.nat(2 ** 32 - 1).map((number) => frame.ping(number)),
  fc.nat(2 ** 32 - 1).map((number) => frame.pong(number)),
  fc.constant(frame.fin()),
  fc.string({ maxLength: 60 }).map((url) => frame.move(url)),
  fc.tuple(fc.integer({ min: 128, max: 255 }), fc.nat(300)).map(([type, length]) => frame.other(type, length)),
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 6 }) },
);
const step = fc.record({ bytes: anyFrame, taken: fc.nat(4000), sends: fc.nat(2000), written: fc.nat(3000) });

Deno.test("whatever a peer sends, it is refused by a FrameError, or taken, and memory stays bounded", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.constantFrom("plain" as const, "goscon" as const),
      (steps, dialect) => {
        const window = 4096;
        const sizes = { cacheSize: 65536, window, peerWindow: 4096 };
        const session = new AckedSession({ id: 7, secret: 1n, dialect, ...sizes });
        session.attach(0, NOTHING);
        for (const { bytes, taken, sends, written } of steps) {
          let left = taken;
          const take = (part: Uint8Array) => {
            const n = Math.min(left, part.length);
            left -= n;
            return n;
          };
          try {
            session.receive(bytes.slice(), { take });
          } catch (error) {
            assert(error instanceof FrameError, String(error));
            return;
          }
          session.send(new Uint8Array(Math.min(sends, session.room)));
          session.wrote(Math.min(written, session.wire.length));
          assert(session.received - session.consumed <= window && session.windowInUse <= window);
          assert(session.acked <= session.sent && session.sent - session.acked <= 4096);
          assert(session.cacheInUse <= ringOf(2 * 4096), `${session.cacheInUse}`);
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("a peer that never acknowledges, and asks for answers for ever, is answered, and holds no more than its window", () => {
  const session = new AckedSession({
    id: 7,
    secret: 1n,
    dialect: "plain",
    cacheSize: 65536,
    window: 4096,
    peerWindow: 4096,
  });
  session.attach(0, NOTHING);
  for (let i = 0; i < 5000; i++) {
    session.receive(concat([frame.ping(i), frame.move("x".repeat(255)), frame.ack(0)]), none);
    if (session.room > 0) session.send(new Uint8Array(1));
    if (i % 3 === 0) session.wrote(session.wire.length);
  }
  assert.equal(session.sent, 4096);
  assert(session.cacheInUse <= 65536, `${session.cacheInUse}`);
});
