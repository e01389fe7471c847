import assert from "node:assert/strict";
import { LINGER } from "../../../../lib/link/link.ts";
import { AckedStage, type AckedStageOptions } from "../../../helpers/acked_stage.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { bytes } from "../../../helpers/session_stage.ts";

type Time = ReturnType<typeof stillTime>;

/** Milliseconds that the other end has to close too, after a CLOSE. */
const FAREWELL = 1000;
const REUSE = 60_000;
const HALF_OPEN = 10_000;

interface Cause {
  happen: (stage: AckedStage, time: Time) => unknown;
  code: number;
  /** The client said it. */
  isClients?: boolean;
  options?: AckedStageOptions;
}

/** All that ends a session of which the backend is well (protocol: Version 2: Ends). */
const CAUSES: Record<string, Cause> = {
  "the proxy is stopped, and shutdown_timeout over": {
    code: 1,
    happen: ({ session }) => {
      session.stop();
      session.abort("shutdown");
    },
  },
  "an operator ends it": { code: 3, happen: ({ session }) => session.abort("admin") },
  "a frame of no type": { code: 4, happen: ({ flow }) => flow.bring(Uint8Array.of(9)) },
  "a DATA of no bytes": { code: 4, happen: ({ flow }) => flow.bring(Uint8Array.of(1, 0, 0)) },
  "a DATA beyond the window": { code: 4, happen: ({ flow }) => flow.bring(Uint8Array.of(1, 5, 0)) },
  "an ACK of what was never sent": { code: 4, happen: ({ flow }) => flow.bring(Uint8Array.of(2, 0, 0, 1, 0)) },
  "an ACK that goes back": { code: 4, happen: ({ flow }) => flow.bring(Uint8Array.of(2, 255, 255, 255, 255)) },
  "a MOVE at the server": { code: 4, happen: ({ flow }) => flow.bring(Uint8Array.of(7, 0)) },
  "it holds more memory than others": { code: 5, happen: ({ session }) => session.endForMemory() },
  "the client is away for too long": {
    code: 6,
    options: { reuseTime: REUSE },
    happen: ({ flow }, time) => {
      flow.end();
      time.pass(REUSE);
    },
  },
  "the client gives up": { code: 7, isClients: true, happen: (stage) => stage.sayClose(7) },
  "the client finds that the proxy broke the protocol": {
    code: 4,
    isClients: true,
    happen: (stage) => stage.sayClose(4),
  },
  "the client says a code that nobody knows": {
    code: 777,
    isClients: true,
    happen: (stage) => stage.sayClose(777),
  },
  "RECEIVED is above what was sent": {
    code: 4,
    happen: (stage) => assert.throws(() => stage.resume({ received: 10_000 }), { code: 406 }),
  },
};

for (const [what, { happen, code, isClients = false, options = {} }] of Object.entries(CAUSES)) {
  Deno.test(`${what}: the code is ${code}; before the client's FIN the backend sees a reset, at once`, async () => {
    using time = stillTime();
    const stage = await AckedStage.relaying(options);
    await stage.send("abc");
    stage.backend.bring(bytes("d"));
    await happen(stage, time);
    assert.deepEqual([stage.code, stage.backendSaw, stage.backend.text], [code, "reset", "abc"]);
    assertTold(stage, code, isClients);
    time.pass(FAREWELL);
    assert.deepEqual(stage.ends.slice(1), ["released", "closed"]);
    assert.equal(stage.budget.inUse, 0);
  });

  Deno.test(`${what}, after the client's FIN: the code is ${code}; the backend saw an end, and no reset follows`, async () => {
    using time = stillTime();
    const stage = await AckedStage.relaying(options);
    await stage.send("abc");
    await stage.finish();
    assert.equal(stage.backendSaw, "end");
    await happen(stage, time);
    // What it still sends is taken and forgotten: closing over it would reset, and destroy what is on its way.
    assert.deepEqual([stage.code, stage.backendSaw], [code, "end"]);
    stage.backend.bring(bytes("more"));
    assertTold(stage, code, isClients);
    time.pass(FAREWELL);
    assert.equal(stage.ends.length, 1, "it is not closed while its backend has not");
    stage.backend.end();
    assert.deepEqual([stage.backendSaw, ...stage.ends.slice(1)], ["end, closed", "released", "closed"]);
    assert.equal(stage.budget.inUse, 0);
  });

  Deno.test(`${what}, after both ends of stream: the code is ${code}; the backend is closed`, async () => {
    using time = stillTime();
    const stage = await AckedStage.relaying(options);
    await stage.finish();
    stage.backend.end();
    await happen(stage, time);
    assert.deepEqual([stage.code, stage.backendSaw], [code, "end, closed"]);
    time.pass(FAREWELL);
    assert.deepEqual(stage.ends.slice(1), ["released", "closed"]);
  });
}

/** The client is told by CLOSE, if it is there; one that has said it is answered nothing. */
function assertTold(stage: AckedStage, code: number, isClients: boolean): void {
  const { flow } = stage;
  if (isClients) return assert.deepEqual([flow.isClosed, stage.flow.text.includes("\x06")], [true, false]);
  if (code === 6) return assert.equal(flow.isClosed, true);
  stage.read();
  assert.equal(stage.closed, code);
  assert.deepEqual([flow.isWriteClosed, flow.isClosed], [true, false], "a close at once could reset");
  flow.end();
  assert.equal(flow.isClosed, true);
}

Deno.test("both directions end, and both ends are consumed: CLOSE 0, whichever is first", async () => {
  for (const first of ["client", "backend"]) {
    using time = stillTime();
    const stage = await AckedStage.relaying();
    await stage.send("abc");
    stage.backend.bring(bytes("de"));
    if (first === "client") await stage.finish();
    stage.backend.end();
    assert.equal(stage.ends.length, 0);
    await stage.acknowledge();
    if (first === "backend") {
      assert.deepEqual([stage.ends, stage.hasEnded], [[], true]);
      await stage.finish();
    }
    assert.deepEqual([stage.ends[0], stage.code, stage.backendSaw], ["upstream_closed", 0, "end, closed"]);
    stage.read();
    assert.equal(stage.closed, 0);
    stage.flow.end();
    assert.deepEqual(stage.ends, ["upstream_closed", "released", "closed"]);
    time.pass(1);
  }
});

Deno.test("CLOSE 0 of a client without FIN: the backend gets all and an end, and has some time to close", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying();
  await stage.send("abc");
  stage.backend.bring(bytes("unread"));
  await stage.sayClose(0);
  assert.deepEqual([stage.ends, stage.code], [["client_closed"], 0]);
  assert.deepEqual([stage.backend.text, stage.backendSaw, stage.backend.isHeard], ["abc", "end", true]);
  time.pass(LINGER - 1);
  assert.equal(stage.backendSaw, "end");
  time.pass(1);
  assert.deepEqual([stage.backendSaw, ...stage.ends.slice(1)], ["end, closed", "released", "closed"]);
});

Deno.test("CLOSE 0 of a client that lies, as its bytes still wait here, is a cut for the backend", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ backendRoom: 2 });
  await stage.send("abc");
  await stage.sayClose(0);
  assert.deepEqual([stage.backend.text, stage.backendSaw], ["ab", "reset"]);
  time.pass(1);
});

Deno.test("a CLOSE in the segment of the last bytes: these go to the backend first", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying();
  stage.flow.bring(Uint8Array.of(...[1, 0, 3], ...bytes("abc"), ...[6, 0, 7, 0]));
  assert.deepEqual([stage.backend.text, stage.backendSaw], ["abc", "reset"]);
});

Deno.test("no backend can be had: the answer, then CLOSE 2", async () => {
  using time = stillTime();
  const stage = AckedStage.run();
  await stage.send("abc");
  await stage.connect(new Error("refused"));
  assert(stage.flow.text.startsWith("answer\x06\x00\x02"));
  assert.deepEqual([stage.ends, stage.code], [["no_upstream"], 2]);
  time.pass(FAREWELL);
  assert.deepEqual(stage.ends, ["no_upstream", "closed"]);
  assert.equal(stage.log.of("session ended")[0]!.reason, "refused");
});

Deno.test("what ends a session while its backend is dialled gives that up, and a backend that comes then is reset", async () => {
  using time = stillTime();
  const stage = AckedStage.run();
  await stage.send("abc");
  stage.session.abort("admin");
  assert.deepEqual([stage.signal!.aborted, stage.code], [true, 3]);
  time.pass(FAREWELL);
  assert.deepEqual(stage.ends, ["admin"]);
  await stage.connect();
  assert.deepEqual([stage.backendSaw, ...stage.ends.slice(1)], ["reset", "released", "closed"]);
  assert.equal(stage.backend.text, "");
});

Deno.test("a session that ends while its client is away tells its end before that it is closed", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ reuseTime: REUSE });
  stage.flow.end();
  time.pass(REUSE);
  assert.deepEqual(stage.ends, ["reuse_timeout", "released", "closed"]);
  assert.equal(stage.backendSaw, "reset");
});

Deno.test("a session whose client went away after its FIN is closed when its backend is, not before", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ reuseTime: REUSE });
  await stage.finish();
  stage.flow.end();
  time.pass(REUSE);
  assert.deepEqual([stage.ends, stage.backendSaw], [["reuse_timeout"], "end"]);
  time.pass(LINGER);
  assert.deepEqual([stage.ends.slice(1), stage.backendSaw], [["released", "closed"], "end, closed"]);
});

Deno.test("a session that has ended is cut short by an abort", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying();
  await stage.finish();
  stage.session.abort("admin");
  stage.flow.end();
  assert.equal(stage.ends.length, 1);
  stage.session.abort("shutdown");
  assert.deepEqual([stage.ends, stage.backendSaw], [["admin", "released", "closed"], "end, closed"]);
});

Deno.test("half_open_timeout ends a session of which one direction has ended with 5, and not one of which both have", async () => {
  for (const who of ["client", "backend"]) {
    using time = stillTime();
    const stage = await AckedStage.relaying({ halfOpenTimeout: HALF_OPEN });
    if (who === "client") await stage.finish();
    else stage.backend.end();
    time.pass(HALF_OPEN - 1);
    assert.equal(stage.ends.length, 0);
    time.pass(1);
    assert.deepEqual([stage.code, stage.backendSaw], [5, who === "client" ? "end" : "reset"]);
    assert.match(String(stage.log.of("session ended")[0]!.reason), /half_open_timeout/);
    time.pass(LINGER);
    assert.equal(stage.ends.at(-1), "closed");
  }
  using time = stillTime();
  const both = await AckedStage.relaying({ halfOpenTimeout: HALF_OPEN });
  await both.finish();
  both.backend.end();
  time.pass(10 * HALF_OPEN);
  assert.deepEqual(both.ends, []);
});

Deno.test("of a client that did not get its answer the session ends at once", async () => {
  using time = stillTime();
  const stage = AckedStage.run({ clientRoom: 3 });
  await stage.connect();
  stage.flow.lose();
  assert.deepEqual([stage.ends, stage.code, stage.backendSaw], [["unanswered", "released", "closed"], 6, "reset"]);
  time.pass(1);
});
