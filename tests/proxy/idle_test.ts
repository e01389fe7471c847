import assert from "node:assert/strict";
import { SessionTable } from "../../lib/proxy/session/session_table.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import { Backend } from "../helpers/backend.ts";
import { engineOf, WORKING } from "../helpers/engine.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { RawClient } from "../helpers/raw_client.ts";
import { Wraps } from "../helpers/wraps.ts";

/** How often this thread has stopped so far until something woke it. */
function wakeUps(): number {
  const status = Deno.readTextFileSync("/proc/thread-self/status");
  return Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)![1]);
}

/** How often a second this thread wakes, from each of so many looks of a proxy at its sessions to the next. */
async function rates(count: number): Promise<number[]> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const looks: { at: number; wakeUps: number }[] = [];
  using wraps = new Wraps();
  // Nothing asks meanwhile how far it is: that would wake it.
  wraps.around(SessionTable.prototype, "look", (look) => () => {
    looks.push({ at: performance.now(), wakeUps: wakeUps() });
    if (looks.length > count) resolve();
    return look();
  });
  await promise;
  return looks.slice(1).map((look, i) => 1000 * (look.wakeUps - looks[i]!.wakeUps) / (look.at - looks[i]!.at));
}

for (const name of WORKING) {
  Deno.test(
    `${name}: a thread whose sessions are all idle wakes at most 5 times a second`,
    { ignore: Deno.build.os !== "linux" },
    async () => {
      await using backend = new Backend();
      const engine = engineOf(name);
      const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" }, { engine });
      using _first = await RawClient.open(proxy.address);
      using _second = await AckedClient.open(proxy.address);
      for (let i = 0; i < 2; i++) await backend.accept();
      const all = await rates(3);
      // What else wakes it, as a collection of garbage, does not always.
      assert(Math.min(...all) <= 5, `${all} times a second`);
      await proxy.stop();
      await engine.close();
    },
  );
}
