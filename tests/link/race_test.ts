import assert from "node:assert/strict";
import { mock } from "node:test";
import { race, STAGGER } from "../../lib/link/race.ts";
import { withTimers } from "../helpers/clock.ts";
import { settled, turn } from "../helpers/turns.ts";

/** A race whose attempts come out as a test says. */
class Stage {
  readonly begun: string[] = [];
  readonly failed: string[] = [];
  readonly discarded: string[] = [];
  readonly attempts = new Map<string, PromiseWithResolvers<string> & { signal: AbortSignal }>();
  readonly result: Promise<string>;

  constructor(candidates: string[], signal?: AbortSignal) {
    this.result = race(candidates, {
      attempt: (candidate, signal) => {
        const attempt = { ...Promise.withResolvers<string>(), signal };
        this.begun.push(candidate);
        this.attempts.set(candidate, attempt);
        return attempt.promise;
      },
      discard: (late) => this.discarded.push(late),
      onFailure: (candidate) => this.failed.push(candidate),
      signal,
    });
    this.result.catch(() => {}); // a test awaits it when it is time
  }

  async succeed(candidate: string): Promise<void> {
    this.attempts.get(candidate)!.resolve(candidate);
    await turn();
  }

  async fail(candidate: string): Promise<void> {
    this.attempts.get(candidate)!.reject(new Error(`no ${candidate}`));
    await turn();
  }
}

Deno.test("race() begins the next when STAGGER is over, and at once when one fails", () =>
  withTimers(async () => {
    const stage = new Stage(["a", "b", "c", "d"]);
    assert.deepEqual(stage.begun, ["a"]);
    mock.timers.tick(STAGGER - 1);
    assert.deepEqual(stage.begun, ["a"]);
    mock.timers.tick(1);
    assert.deepEqual(stage.begun, ["a", "b"]);
    await stage.fail("a");
    assert.deepEqual(stage.begun, ["a", "b", "c"]);
    mock.timers.tick(STAGGER - 1);
    assert.deepEqual(stage.begun, ["a", "b", "c"], "the time counts from the latest");
    await stage.succeed("b");
    assert.equal(await stage.result, "b");
    mock.timers.tick(STAGGER);
    assert.deepEqual(stage.begun, ["a", "b", "c"]);
  }));

Deno.test("race() aborts the losers, discards what they still make, and tells of those that were overtaken", () =>
  withTimers(async () => {
    const stage = new Stage(["a", "b", "c", "d"]);
    for (let i = 0; i < 3; i++) mock.timers.tick(STAGGER);
    await stage.fail("a");
    await stage.succeed("c");
    assert.equal(await stage.result, "c");
    assert.deepEqual(stage.failed, ["a", "b"]);
    for (const loser of ["b", "d"]) assert.equal(stage.attempts.get(loser)!.signal.aborted, true);
    await stage.succeed("b");
    await stage.fail("d");
    assert.deepEqual([stage.discarded, stage.failed], [["b"], ["a", "b"]]);
  }));

Deno.test("race() rejects with each failure, in the order of the candidates, when all have failed", () =>
  withTimers(async () => {
    const stage = new Stage(["a", "b"]);
    mock.timers.tick(STAGGER);
    await stage.fail("b");
    assert.equal(await settled(stage.result), false);
    await stage.fail("a");
    await assert.rejects(stage.result, (error) => {
      assert(error instanceof AggregateError);
      assert.equal(error.message, "no a; no b");
      assert.deepEqual(error.errors.map(String), ["Error: no a", "Error: no b"]);
      return true;
    });
  }));

Deno.test("race() that is given up, before or meanwhile, rejects at once, aborts what runs, and begins nothing more", () =>
  withTimers(async () => {
    const abort = new AbortController();
    const stage = new Stage(["a", "b"], abort.signal);
    abort.abort();
    await assert.rejects(stage.result, /given up/);
    assert.equal(stage.attempts.get("a")!.signal.aborted, true);
    mock.timers.tick(STAGGER);
    await stage.fail("a");
    assert.deepEqual([stage.begun, stage.failed], [["a"], []]);
    const late = new Stage(["a"], abort.signal);
    await assert.rejects(late.result, /given up/);
    assert.deepEqual(late.begun, []);
  }));
