import assert from "node:assert/strict";
import { ownHostCells } from "../../../lib/proxy/shared_state.ts";
import { HostState } from "../../../lib/proxy/upstream/host_state.ts";

const HOST = { name: "h", addr: { kind: "builtin", name: "echo" }, weight: 1, drain: false, backup: false } as const;
const open = (maxSessions = 0) => new HostState({ ...HOST, maxSessions });

/** Fails it so often at `now`; what the last one gave. */
function fail(state: HostState, times: number, now: number, mayGoOut = true): number {
  let out = 0;
  for (let i = 0; i < times; i++) out = state.failed(now, mayGoOut);
  return out;
}

Deno.test("a host is out for 10 s after 5 failures in a row, and then twice as long each time, up to 5 min", () => {
  const state = open();
  assert.equal(fail(state, 4, 0), 0);
  state.succeeded();
  assert.equal(fail(state, 4, 0), 0);
  assert.equal(state.status(0), "up");
  let now = 0;
  for (const seconds of [10, 20, 40, 80, 160, 300, 300]) {
    assert.equal(fail(state, seconds === 10 ? 1 : 5, now), seconds * 1000);
    assert.equal(state.status(now + seconds * 1000 - 1), "out");
    now += seconds * 1000;
    assert.equal(state.status(now), "up");
  }
  state.succeeded();
  assert.equal(fail(state, 5, now), 10_000, "a success begins from the start");
  assert.equal(state.failures, 4 + 4 + 1 + 6 * 5 + 5);
});

Deno.test("a host that may not go out does not, and goes as soon as it may", () => {
  const state = open();
  assert.equal(fail(state, 20, 0, false), 0);
  assert.equal(state.status(0), "up");
  assert.equal(fail(state, 1, 0), 10_000);
});

Deno.test("checks take a host down and up again after fall and rise in a row", () => {
  const state = open();
  const check = { interval: 1, timeout: 1, rise: 2, fall: 3 };
  const seen = [false, false, true, false, false, false, true, false, true, true].map((ok) => {
    const changed = state.checked(ok, check);
    return (changed ? "!" : "") + state.status(0);
  });
  assert.deepEqual(seen, ["up", "up", "up", "up", "up", "!down", "down", "down", "down", "!up"]);
  for (let i = 0; i < 3; i++) state.checked(false, check);
  assert.equal(state.status(0), "down");
  state.unchecked();
  assert.equal(state.status(0), "up");
});

Deno.test("hasRoom goes by max_sessions and drain", () => {
  const state = open(2);
  state.begin();
  assert.equal(state.hasRoom, true);
  state.begin();
  assert.equal(state.hasRoom, false);
  state.end();
  assert.equal(state.hasRoom, true);
  state.begin();
  state.host = { ...HOST, maxSessions: 0 };
  assert.equal(state.hasRoom, true);
  state.host = { ...HOST, maxSessions: 0, drain: true };
  assert.equal(state.hasRoom, false);
  assert.equal(state.status(0), "drain");
});

Deno.test("begin() has one thread take the last place that two have seen", () => {
  const cells = ownHostCells();
  const [one, other] = [0, 1].map(() => new HostState({ ...HOST, maxSessions: 1 }, cells)) as [HostState, HostState];
  assert.deepEqual([one.hasRoom, other.hasRoom], [true, true]);
  assert.deepEqual([one.begin(), other.begin()], [true, false]);
  assert.equal(one.sessions, 1);
  one.end();
  assert.equal(other.begin(), true);
  one.host = { ...HOST, maxSessions: 0, drain: true };
  assert.equal(one.begin(), false);
  assert.equal(one.sessions, 1);
});
