import assert from "node:assert/strict";
import { mock } from "node:test";
import { KcpWatch } from "../../../lib/link/kcp/kcp_watch.ts";

/** A conversation of which nothing comes, watched for silence of 400 ms: it is looked at each 100. */
function watched() {
  mock.timers.enable({ apis: ["setInterval"] });
  const flow = {
    quiet: 0,
    asked: 0,
    lost: "",
    ask: () => void flow.asked++,
    lose: (why: string) => void (flow.lost = why),
  };
  const watch = new KcpWatch(flow, 400);
  return {
    flow,
    look: (quiet: number) => {
      flow.quiet = quiet;
      mock.timers.tick(100);
    },
    [Symbol.dispose]: () => {
      watch.stop();
      mock.timers.reset();
    },
  };
}

Deno.test("a peer that is quiet is asked, and lost when it has not answered four times", () => {
  using stage = watched();
  for (const [i, quiet] of [50, 150, 250, 350, 450].entries()) {
    stage.look(quiet);
    assert.deepEqual([stage.flow.asked, stage.flow.lost], [i, ""]);
  }
  stage.look(550);
  assert.match(stage.flow.lost, /^nothing came for 400 ms, though it was asked/);
});

Deno.test("a peer that answers is there, however little it says; and time that nobody watched does not count", () => {
  using stage = watched();
  for (let i = 0; i < 20; i++) stage.look(i % 4 === 3 ? 10 : 1_000_000);
  assert.deepEqual([stage.flow.asked, stage.flow.lost], [15, ""]);
});
