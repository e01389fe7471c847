import assert from "node:assert/strict";
import { LINGER } from "../../lib/link/link.ts";
import { ScpError } from "../../lib/scp/error.ts";
import { hashkey, hmac64Md5 } from "../../lib/scp/mod.ts";
import { type ResumeRequest, resumeText } from "../../lib/scp/message.ts";
import type { stillTime } from "./clock.ts";
import { bytes, type SessionStage } from "./session_stage.ts";

export const REUSE_TIME = 1000;
const READ_TIMEOUT = 100;

type Time = ReturnType<typeof stillTime>;
/** Gives what it was refused with, if it was; `false`: it cannot happen now. */
type Happen = (stage: SessionStage, time: Time) => void | string | false | Promise<void | string | false>;

/** What can happen to a session. */
export const EVENTS = {
  "client bytes": ({ flow }) => flow.isHeard && flow.bring(bytes("C")),
  "client takes more": ({ flow }) => !flow.isClosed && flow.take(),
  "client ends": ({ flow }) => flow.isHeard && flow.end(),
  "client breaks": ({ flow }) => flow.isHeard && flow.lose(),
  "client breaks in a write": (stage) => {
    const { flow, backend } = stage;
    if (flow.isClosed) return false;
    flow.break();
    if (backend.isHeard) backend.bring(bytes("B"));
    else stage.session.look(0);
    if (flow.isHeard) flow.lose();
  },
  "resume": (stage) => outcomeOf(stage, () => stage.client.nextResume()),
  "resume, lacking nothing": (stage) =>
    outcomeOf(stage, () => {
      stage.client.open(new Uint8Array(sentBy(stage)));
      return stage.client.nextResume();
    }),
  "resume 401": (stage) => outcomeOf(stage, () => ({ ...stage.client.nextResume(), hmac: 1n })),
  "resume 403": (stage) => outcomeOf(stage, () => requestOf({ id: 7, index: 0, received: 0 })),
  "resume 406": (stage) => outcomeOf(stage, () => requestOf({ id: 7, index: 9, received: sentBy(stage) + 1 })),
  "backend reached": (stage) => isDialling(stage) && stage.connect(),
  "no backend reached": (stage) => isDialling(stage) && stage.connect(new Error("none")),
  "backend bytes": ({ backend }) => backend.isHeard && backend.bring(bytes("B")),
  "backend full": ({ backend, flow }) => {
    if (!flow.isHeard || backend.isClosed) return false;
    backend.room = 0;
    flow.bring(bytes("C"));
  },
  "backend takes more": ({ backend }) => !backend.isClosed && backend.take(),
  "backend ends": ({ backend }) => backend.isHeard && backend.end(),
  "backend breaks": ({ backend }) => backend.isHeard && backend.lose(),
  "reuse_time is over": (_, time) => time.pass(REUSE_TIME),
  "read_timeout is over": ({ session }, time) => {
    time.pass(READ_TIMEOUT);
    session.look(READ_TIMEOUT);
  },
  "LINGER is over": (stage, time) => stateOf(stage) === "ended" && time.pass(LINGER),
  "stop": ({ session }) => session.stop(),
  "abort": ({ session }) => session.abort("admin"),
} satisfies Record<string, Happen>;
export type EventName = keyof typeof EVENTS;

/** What a session can be doing, as seen from outside. */
export function stateOf(stage: SessionStage): string {
  const { ends, backend, session, flow } = stage;
  if (ends.includes("closed")) return "closed";
  if (ends.length > 0) return isDialling(stage) ? "ended, connecting" : "ended";
  const isAway = flow.isClosed;
  if (session.describe().state === "connecting") return isAway ? "connecting, detached" : "connecting";
  if (backend.isClosed) return isAway ? "finished, detached" : "finished";
  if (isAway) return backend.isPaused ? "detached, held" : "detached";
  if (flow.isPaused) return "attached, backend full";
  return backend.isPaused ? "attached, full" : "attached";
}

/** What an event did to a session: `next state: what was done`; `-`: it cannot happen. */
export async function happen(stage: SessionStage, time: Time, event: EventName): Promise<string> {
  const before = seen(stage);
  const outcome = await (EVENTS[event] as Happen)(stage, time);
  if (outcome === false) return "-";
  await Promise.resolve();
  checkAlways(stage);
  const done = seen(stage).filter((what) => !before.includes(what));
  if (outcome) done.push(outcome);
  return [stateOf(stage), done.join(", ")].filter((part) => part !== "").join(": ");
}

/** What holds for a session whatever has happened. */
function checkAlways({ flows, flow, backend, ends, session, isDialled }: SessionStage): void {
  assert(flows.slice(0, -1).every((flow) => flow.isClosed), "a connection that was replaced is open");
  const [kind, ...after] = ends;
  assert.deepEqual(
    after,
    after.length < 2 ? after.filter((end) => end === "closed") : ["released", "closed"],
    `${ends}`,
  );
  assert.notEqual(kind, "closed", "it is closed before it has ended");
  if (kind !== undefined) assert(flow.isClosed, "it has ended, and its connection is open");
  if (after.length === 2) assert(backend.isClosed, "it is closed, and its backend is open");
  if (kind !== undefined && isDialled && after.length === 0) {
    assert(backend.isHeard, "the end of its backend would not be heard");
  }
  if (kind === undefined && backend.isClosed) assert(flow.isHeard || flow.isClosed, "its client is held up by nobody");
  if (kind !== undefined || backend.isClosed) return;
  const held = backend.brought - session.describe().sent;
  assert(held >= 0, "more was sent than the backend brought");
  if (held > 0) assert(backend.isPaused && held <= backend.most, `${held} bytes are held, and more would be heard`);
}

/** All that was done so far. */
function seen({ flows, backend, ends }: SessionStage): string[] {
  const of = (name: string, { text, isWriteClosed, isClosed }: SessionStage["backend"]) => [
    ...(text ? [`${name} got ${text}`] : []),
    ...(isWriteClosed ? [`${name} ended`] : []),
    ...(isClosed ? [`${name} closed`] : []),
  ];
  return [...flows.flatMap((flow, i) => of(`link ${i}`, flow)), ...of("backend", backend), ...ends];
}

const sentBy = ({ session }: SessionStage) => session.describe().sent;
const isDialling = ({ asked, isDialled }: SessionStage) => asked !== undefined && !isDialled;

function requestOf(lines: { id: number; index: number; received: number }): ResumeRequest {
  return { kind: "resume", ...lines, hmac: hmac64Md5(hashkey(bytes(resumeText(lines))), 1n) };
}

/** Of a resume: what it was refused with. A session that has ended is none that a table would ask. */
function outcomeOf(stage: SessionStage, request: () => ResumeRequest): string | void | false {
  if (stage.ends.length > 0) return false;
  try {
    if (!stage.tryResume(request())) return "not taken";
  } catch (error) {
    if (error instanceof ScpError) return `refused ${error.code}`;
    throw error;
  }
}
