import assert from "node:assert/strict";
import { type EventName, EVENTS, happen, REUSE_TIME, stateOf } from "../../helpers/session_events.ts";
import { stillTime } from "../../helpers/clock.ts";
import { SessionStage, soon } from "../../helpers/session_stage.ts";

/** What leads to each state, from a session that has just begun. */
const PATHS: Record<string, EventName[]> = {
  "connecting": [],
  "connecting, detached": ["client breaks in a write"],
  "attached": ["backend reached", "client bytes", "backend bytes"],
  "attached, full": ["backend reached", "backend bytes"],
  "attached, backend full": ["backend reached", "backend bytes", "backend full"],
  "detached": ["backend reached", "backend bytes", "client ends"],
  "detached, held": ["backend reached", "client ends", "backend bytes"],
  "finished": ["backend reached", "backend bytes", "backend ends"],
  "finished, detached": ["backend reached", "backend bytes", "client ends", "backend ends"],
  "ended": ["backend reached", "stop", "client ends"],
  "ended, connecting": ["stop"],
  "closed": ["backend reached", "abort"],
};

/**
 * For each state, what each event leads to, and what is done then. The first connection of a client is link 0, the next is link 1; `C` is
 * a byte of the client's, `B` one of the backend's. An event that is missing cannot happen then: nobody listens for it.
 */
const TABLE: Record<string, Partial<Record<EventName, string>>> = {
  "connecting": {
    "client takes more": "connecting",
    "client breaks in a write": "connecting, detached: link 0 closed",
    "resume": "connecting: link 0 closed, link 1 got resumed at 0 ",
    "resume, lacking nothing": "connecting: link 0 closed, link 1 got resumed at 0 ",
    "resume 401": "connecting: refused 401",
    "resume 403": "connecting: refused 403",
    "resume 406": "ended, connecting: link 0 closed, not_resumable, refused 406",
    "backend reached": "attached",
    "no backend reached": "closed: link 0 closed, no_upstream, closed",
    "backend takes more": "connecting",
    "reuse_time is over": "connecting",
    "read_timeout is over": "connecting",
    "stop": "ended, connecting: link 0 closed, shutdown",
    "abort": "ended, connecting: link 0 closed, admin",
  },
  "connecting, detached": {
    "resume": "connecting: link 1 got resumed at 0 ",
    "resume, lacking nothing": "connecting: link 1 got resumed at 0 ",
    "resume 401": "connecting, detached: refused 401",
    "resume 403": "connecting, detached: refused 403",
    "resume 406": "ended, connecting: not_resumable, refused 406",
    "backend reached": "detached",
    "no backend reached": "closed: no_upstream, closed",
    "backend takes more": "connecting, detached",
    "reuse_time is over": "ended, connecting: reuse_timeout",
    "read_timeout is over": "connecting, detached",
    "stop": "ended, connecting: shutdown",
    "abort": "ended, connecting: admin",
  },
  "attached": {
    "client bytes": "attached: backend got CC",
    "client takes more": "attached",
    "client ends": "detached: link 0 closed",
    "client breaks": "detached: link 0 closed",
    "client breaks in a write": "detached: link 0 closed",
    "resume": "attached: link 0 closed, link 1 got resumed at 1 B",
    "resume, lacking nothing": "attached: link 0 closed, link 1 got resumed at 1 ",
    "resume 401": "attached: refused 401",
    "resume 403": "attached: refused 403",
    "resume 406": "ended: link 0 closed, backend ended, not_resumable, refused 406",
    "backend bytes": "attached: link 0 got answer BB",
    "backend full": "attached, backend full",
    "backend takes more": "attached",
    "backend ends": "finished: link 0 ended, backend closed",
    "backend breaks": "finished: link 0 ended, backend closed",
    "reuse_time is over": "attached",
    "read_timeout is over": "attached",
    "stop": "attached: backend ended",
    "abort": "closed: link 0 closed, backend ended, backend closed, admin, released, closed",
  },
  "attached, full": {
    "client bytes": "attached, full: backend got C",
    "client takes more": "attached: link 0 got answer B",
    "client ends": "detached: link 0 closed",
    "client breaks": "detached: link 0 closed",
    "client breaks in a write": "detached: link 0 closed",
    "resume": "attached: link 0 closed, link 1 got resumed at 0 B",
    "resume, lacking nothing": "attached: link 0 closed, link 1 got resumed at 0 ",
    "resume 401": "attached, full: refused 401",
    "resume 403": "attached, full: refused 403",
    "resume 406": "ended: link 0 closed, backend ended, not_resumable, refused 406",
    "backend full": "attached, backend full",
    "backend takes more": "attached, full",
    "reuse_time is over": "attached, full",
    "read_timeout is over": "detached: link 0 closed",
    "stop": "attached, full: backend ended",
    "abort": "closed: link 0 closed, backend ended, backend closed, admin, released, closed",
  },
  "attached, backend full": {
    "client takes more": "attached, backend full",
    "client breaks in a write": "detached: link 0 closed",
    "resume": "attached, backend full: link 0 closed, link 1 got resumed at 1 B",
    "resume, lacking nothing": "attached, backend full: link 0 closed, link 1 got resumed at 1 ",
    "resume 401": "attached, backend full: refused 401",
    "resume 403": "attached, backend full: refused 403",
    "resume 406": "ended: link 0 closed, not_resumable, refused 406",
    "backend bytes": "attached, backend full: link 0 got answer BB",
    "backend takes more": "attached: backend got C",
    "backend ends": "finished: link 0 ended, backend closed",
    "backend breaks": "finished: link 0 ended, backend closed",
    "reuse_time is over": "attached, backend full",
    "read_timeout is over": "attached, backend full",
    "stop": "attached, backend full",
    "abort": "closed: link 0 closed, backend closed, admin, released, closed",
  },
  "detached": {
    "resume": "attached: link 1 got resumed at 0 B",
    "resume, lacking nothing": "attached: link 1 got resumed at 0 ",
    "resume 401": "detached: refused 401",
    "resume 403": "detached: refused 403",
    "resume 406": "ended: backend ended, not_resumable, refused 406",
    "backend bytes": "detached, held",
    "backend takes more": "detached",
    "backend ends": "finished, detached: backend closed",
    "backend breaks": "finished, detached: backend closed",
    "reuse_time is over": "ended: backend ended, reuse_timeout",
    "read_timeout is over": "detached",
    "stop": "ended: backend ended, shutdown",
    "abort": "closed: backend ended, backend closed, admin, released, closed",
  },
  "detached, held": {
    "resume": "attached: link 1 got resumed at 0 B",
    "resume, lacking nothing": "attached: link 1 got resumed at 0 B",
    "resume 401": "detached, held: refused 401",
    "resume 403": "detached, held: refused 403",
    "resume 406": "ended: backend ended, not_resumable, refused 406",
    "backend takes more": "detached, held",
    "reuse_time is over": "ended: backend ended, reuse_timeout",
    "read_timeout is over": "detached, held",
    "stop": "ended: backend ended, shutdown",
    "abort": "closed: backend ended, backend closed, admin, released, closed",
  },
  "finished": {
    "client bytes": "finished",
    "client takes more": "finished",
    "client ends": "finished, detached: link 0 closed",
    "client breaks": "finished, detached: link 0 closed",
    "client breaks in a write": "finished, detached: link 0 closed",
    "resume": "finished: link 0 closed, link 1 got resumed at 0 B, link 1 ended",
    "resume, lacking nothing": "closed: link 0 closed, upstream_closed, released, closed, not taken",
    "resume 401": "finished: refused 401",
    "resume 403": "finished: refused 403",
    "resume 406": "closed: link 0 closed, not_resumable, released, closed, refused 406",
    "reuse_time is over": "closed: link 0 closed, upstream_closed, released, closed",
    "read_timeout is over": "finished, detached: link 0 closed",
    "stop": "finished",
    "abort": "closed: link 0 closed, admin, released, closed",
  },
  "finished, detached": {
    "resume": "finished: link 1 got resumed at 0 B, link 1 ended",
    "resume, lacking nothing": "closed: upstream_closed, released, closed, not taken",
    "resume 401": "finished, detached: refused 401",
    "resume 403": "finished, detached: refused 403",
    "resume 406": "closed: not_resumable, released, closed, refused 406",
    "reuse_time is over": "closed: reuse_timeout, released, closed",
    "read_timeout is over": "finished, detached",
    "stop": "closed: shutdown, released, closed",
    "abort": "closed: admin, released, closed",
  },
  "ended": {
    "backend bytes": "ended",
    "backend takes more": "ended",
    "backend ends": "closed: backend closed, released, closed",
    "backend breaks": "closed: backend closed, released, closed",
    "reuse_time is over": "ended",
    "read_timeout is over": "ended",
    "LINGER is over": "closed: backend closed, released, closed",
    "stop": "ended",
    "abort": "closed: backend closed, released, closed",
  },
  "ended, connecting": {
    "backend reached": "closed: backend closed, released, closed",
    "no backend reached": "closed: closed",
    "backend takes more": "ended, connecting",
    "reuse_time is over": "ended, connecting",
    "read_timeout is over": "ended, connecting",
    "stop": "ended, connecting",
    "abort": "ended, connecting",
  },
  "closed": {
    "reuse_time is over": "closed",
    "read_timeout is over": "closed",
    "stop": "closed",
    "abort": "closed",
  },
};

/** A session in that state. The answer fills a connection that is to take no more. */
async function enter(state: string, time: ReturnType<typeof stillTime>): Promise<SessionStage> {
  const stage = SessionStage.run({ reuseTime: REUSE_TIME, clientRoom: state === "attached, full" ? 7 : Infinity });
  await soon();
  for (const event of PATHS[state]!) assert.notEqual(await happen(stage, time, event), "-", `${state}: ${event}`);
  assert.equal(stateOf(stage), state);
  return stage;
}

for (const [state, events] of Object.entries(TABLE)) {
  Deno.test(`a session that is ${state}: what each event does`, async () => {
    using time = stillTime();
    for (const event of Object.keys(EVENTS) as EventName[]) {
      const stage = await enter(state, time);
      assert.equal(await happen(stage, time, event), events[event] ?? "-", event);
    }
  });
}

Deno.test("any two events in any state keep what holds for a session always, and after abort() everything is closed", async () => {
  using time = stillTime();
  const all = Object.keys(EVENTS) as EventName[];
  for (const state of Object.keys(TABLE)) {
    for (const first of all) {
      for (const second of all) {
        const stage = await enter(state, time);
        await happen(stage, time, first);
        await happen(stage, time, second);
        stage.session.abort("admin");
        if (!stage.isDialled) await stage.connect();
        const { flows, ends } = stage;
        assert(flows.every((flow) => flow.isClosed), `${state}: ${first}, ${second}`);
        assert.equal(ends.at(-1), "closed", `${state}: ${first}, ${second}: ${ends}`);
      }
    }
  }
});
