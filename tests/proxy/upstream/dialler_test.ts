import assert from "node:assert/strict";
import { mock } from "node:test";
import { parseAddress } from "../../../lib/config.ts";
import { Addresses } from "../../../lib/link/addresses.ts";
import type { Link } from "../../../lib/link/link.ts";
import { STAGGER } from "../../../lib/link/race.ts";
import { Dialler } from "../../../lib/proxy/upstream/dialler.ts";
import { HostState } from "../../../lib/proxy/upstream/host_state.ts";
import { withTimers } from "../../helpers/clock.ts";
import { turn } from "../../helpers/turns.ts";

/** A dialler of hosts `192.0.2.1:1` and on, whose connections come out as a test says. */
class Stage {
  readonly states: HostState[];
  readonly dialled: { state: HostState; signal: AbortSignal; outcome: PromiseWithResolvers<Link> }[] = [];
  readonly failed: [HostState, string][] = [];
  readonly closed: Link[] = [];
  readonly addresses = new Addresses({ random: () => 0, now: () => 0 });
  readonly dialler: Dialler;

  constructor(count: number) {
    const rest = { name: "", weight: 1, backup: false, drain: false, maxSessions: 0 };
    this.states = Array.from(
      { length: count },
      (_, i) => new HostState({ ...rest, addr: parseAddress(`192.0.2.${i + 1}:1`) }),
    );
    this.dialler = new Dialler(this.states, {
      dial: (state, signal) => {
        const outcome = Promise.withResolvers<Link>();
        this.dialled.push({ state, signal, outcome });
        return outcome.promise;
      },
      addresses: this.addresses,
      onFailure: (state, error) => {
        assert.equal(state.sessions, 1, "a failure is noted while the session is counted");
        this.failed.push([state, (error as Error).message]);
      },
    });
  }

  link(): Link {
    const link = { close: () => this.closed.push(link) } as unknown as Link;
    return link;
  }

  /** Sessions of each host. */
  get sessions(): number[] {
    return this.states.map(({ sessions }) => sessions);
  }
}

Deno.test("Dialler dials the next beside one that does not answer, which is no failure, but tried last for a while", () =>
  withTimers(async () => {
    const stage = new Stage(3);
    const [silent, good] = stage.states;
    const dialling = stage.dialler.dial(new AbortController().signal);
    assert.deepEqual(stage.sessions, [1, 0, 0]);
    mock.timers.tick(STAGGER);
    assert.deepEqual(stage.sessions, [1, 1, 0]);
    const link = stage.link();
    stage.dialled[1]!.outcome.resolve(link);
    assert.equal(await dialling, link);
    assert.equal(stage.dialler.chosen, good);
    assert.equal(stage.dialled[0]!.signal.aborted, true);
    const late = stage.link();
    stage.dialled[0]!.outcome.resolve(late);
    await turn();
    assert.deepEqual([stage.closed, stage.sessions, stage.failed], [[late], [0, 1, 0], []]);
    const endpointOf = ({ host }: HostState) => host.addr as { hostname: string; port: number };
    assert.deepEqual(stage.addresses.badLast(stage.states, endpointOf).at(-1), silent);
  }));

Deno.test("Dialler dials the one that answered again, and no other", async () => {
  const stage = new Stage(2);
  const dialling = stage.dialler.dial(new AbortController().signal);
  stage.dialled[0]!.outcome.reject(new Error("no"));
  await turn();
  stage.dialled[1]!.outcome.resolve(stage.link());
  await dialling;
  void stage.dialler.dial(new AbortController().signal);
  assert.deepEqual(stage.dialled.map(({ state }) => stage.states.indexOf(state)), [0, 1, 1]);
  assert.deepEqual([stage.failed, stage.sessions], [[[stage.states[0], "no"]], [0, 1]]);
});

Deno.test("Dialler blames the one that answered, or those that did not, and counts the session off", () =>
  withTimers(async () => {
    const answered = new Stage(2);
    const dialling = answered.dialler.dial(new AbortController().signal);
    answered.dialled[0]!.outcome.resolve(answered.link());
    await dialling;
    answered.dialler.blame(new Error("late"));
    answered.dialler.release();
    answered.dialler.release();
    assert.deepEqual([answered.failed, answered.sessions], [[[answered.states[0], "late"]], [0, 0]]);

    const silent = new Stage(3);
    const deadline = new AbortController();
    const inVain = silent.dialler.dial(deadline.signal);
    silent.dialled[0]!.outcome.reject(new Error("no"));
    await turn();
    deadline.abort();
    await assert.rejects(inVain, /given up/);
    silent.dialled[1]!.outcome.reject(new Error("given up"));
    await turn();
    silent.dialler.blame(new Error("late"));
    silent.dialler.release();
    assert.deepEqual(silent.failed, [[silent.states[0], "no"], [silent.states[1], "late"]]);
    assert.deepEqual(silent.sessions, [0, 0, 0]);
  }));

Deno.test("Dialler does not dial a host that may not get another session, which is no failure", async () => {
  const stage = new Stage(1);
  stage.states[0]!.host = { ...stage.states[0]!.host, drain: true };
  await assert.rejects(stage.dialler.dial(new AbortController().signal), /may not get another session/);
  stage.dialler.blame(new Error("in vain"));
  stage.dialler.release();
  assert.deepEqual([stage.dialled, stage.failed, stage.sessions], [[], [], [0]]);
});

Deno.test("Dialler counts off whoever was given up while it was dialled, once", async () => {
  const stage = new Stage(2);
  const deadline = new AbortController();
  const dialling = stage.dialler.dial(deadline.signal);
  deadline.abort();
  await assert.rejects(dialling, /given up/);
  assert.deepEqual(stage.sessions, [1, 0]);
  stage.dialler.release();
  const late = stage.link();
  stage.dialled[0]!.outcome.resolve(late);
  await turn();
  assert.deepEqual([stage.closed, stage.sessions], [[late], [0, 0]]);
});
