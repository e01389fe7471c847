import assert from "node:assert/strict";
import fc from "fast-check";
import { LINGER } from "../../../lib/link/link.ts";
import { type ModelOptions, SessionModel } from "../../helpers/session_model.ts";
import { stillTime } from "../../helpers/clock.ts";

/** Small, so that its edges are met. */
const CACHE = 40;

const size = fc.noBias(fc.integer({ min: 0, max: 2 * CACHE }));
const room = fc.oneof(size, fc.constant(Infinity));
const step = fc.oneof(
  fc.tuple(fc.constant("clientSends" as const), size),
  fc.tuple(fc.constant("arrives" as const), size),
  fc.tuple(fc.constant("networkTakes" as const), size),
  fc.tuple(fc.constant("clientReads" as const), size),
  fc.tuple(fc.constant("cut" as const), fc.constantFrom("end", "loss", "broken", "unnoticed")),
  fc.tuple(fc.constant("resume" as const), room),
  fc.tuple(fc.constant("backendSends" as const), size),
  fc.tuple(fc.constant("backendTakes" as const), size),
  fc.tuple(fc.constant("backendReached" as const), fc.constant(0)),
  fc.tuple(fc.constant("look" as const), fc.constant(0)),
);
/** The same, and between any two of them the session may go on elsewhere. */
const unsent = fc.oneof(fc.constant(0), size);
const isAlong = fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) });
const orMove = fc.oneof(
  { weight: 2, arbitrary: step },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant("move" as const), fc.record({ client: unsent, backend: unsent, isAlong })),
  },
);
const setting = fc.record({
  cacheSize: fc.constantFrom(1, CACHE, CACHE, 1000),
  dialect: fc.constantFrom("goscon" as const, "plain" as const),
  clientRoom: room,
  backendRoom: room,
  isReached: fc.boolean(),
});

/** Lets it all happen, and then everything arrive. `undefined`: the client lacked more than is held, and the session has ended. */
async function play(options: ModelOptions & { isReached: boolean }, steps: [string, unknown][]) {
  const model = new SessionModel(options);
  if (options.isReached) await model.backendReached();
  for (const [what, arg] of steps) {
    await (model[what as "look"] as (arg: unknown) => unknown)(arg);
    await model.check();
    if (model.isLost || model.stage.ends.length > 0) return undefined;
  }
  await model.settle();
  return model.isLost ? undefined : model;
}

/** What holds for any settings and steps: a failure prints the seed, and what led to it. */
const holds = (check: (model: SessionModel, time: ReturnType<typeof stillTime>) => unknown) =>
  fc.assert(
    fc.asyncProperty(setting, fc.array(orMove, { maxLength: 80, size: "max" }), async (options, steps) => {
      using time = stillTime();
      const model = await play(options, steps);
      if (model) await check(model, time);
    }),
    { numRuns: 500 },
  );

Deno.test("whatever is cut, wherever, every byte arrives once and in order, both ways; then the backend's end", () =>
  holds(({ stage }, time) => {
    stage.backend.end();
    assert.equal(stage.flow.isWriteClosed, true);
    stage.flow.end();
    assert.deepEqual(stage.ends, []);
    time.pass(3_600_000);
    assert.deepEqual(stage.ends, ["upstream_closed", "released", "closed"]);
  }));

Deno.test("whatever was cut, a session that is stopped gives the backend all it received, and closes once", () =>
  holds(({ stage }, time) => {
    stage.session.stop();
    assert.deepEqual([stage.backend.isWriteClosed, stage.backend.written.length], [true, stage.client.sent]);
    stage.flow.end();
    time.pass(LINGER);
    stage.session.abort("admin");
    assert.deepEqual(stage.ends, ["shutdown", "released", "closed"]);
  }));
