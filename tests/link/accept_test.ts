import assert from "node:assert/strict";
import { mock } from "node:test";
import { acceptAll } from "../../lib/link/accept.ts";
import { turn } from "../helpers/turns.ts";

/** A listener whose accepts come out as a test says, each when it is asked for; after the last it is silent. */
function listenerOf(...outcomes: (Deno.TcpConn | Error)[]) {
  return {
    accepts: 0,
    async accept(): Promise<Deno.TcpConn> {
      const outcome = outcomes[this.accepts++] ?? await new Promise<never>(() => {});
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
  };
}

const full = () => new Error("Too many open files");
const conn = {} as Deno.TcpConn;

Deno.test("acceptAll() waits a failure out, each in a row twice as long, to a second at the most", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const listener = listenerOf(...Array.from({ length: 10 }, full), conn, full());
    const stop = new AbortController();
    const failures: { reason: string; retry_ms: number }[] = [];
    let accepted = 0;
    const accepting = acceptAll(listener, {
      onConnection: () => accepted++,
      onFailure: (failure) => failures.push(failure),
      signal: stop.signal,
    });
    for (let i = 1; i <= 10; i++) {
      await turn();
      assert.deepEqual([listener.accepts, failures.length, accepted], [i, i, 0]);
      mock.timers.tick(failures.at(-1)!.retry_ms - 1);
      await turn();
      assert.equal(listener.accepts, i, "it did not wait");
      mock.timers.tick(1);
    }
    await turn();
    assert.deepEqual(failures.map(({ retry_ms }) => retry_ms), [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 5]);
    assert.deepEqual([accepted, failures[0]!.reason], [1, "Too many open files"]);
    stop.abort();
    await accepting; // though the pause is not over
    assert.equal(listener.accepts, 12);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("acceptAll() takes a client that was gone before it was accepted for no failure", async () => {
  const gone = [Deno.errors.NotConnected, Deno.errors.ConnectionAborted, Deno.errors.ConnectionReset];
  const listener = listenerOf(...gone.map((Kind) => new Kind("gone")), conn, new Error("closed"));
  const stop = new AbortController();
  const onFailure = () => assert.fail("it was told as a failure");
  await acceptAll(listener, { onConnection: () => stop.abort(), onFailure, signal: stop.signal });
  assert.equal(listener.accepts, 4);
});
