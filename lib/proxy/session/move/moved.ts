import type { Remains } from "../../../link/flow.ts";
import type { Conversation } from "../../../link/kcp/conversation.ts";
import type { LinkStanding } from "../../../link/resumable.ts";
import type { AckedLinkStanding } from "../../../link/acked_stream.ts";
import type { SessionSnapshot } from "../../../scp/mod.ts";
import type { AckedSessionSnapshot, LivenessSnapshot } from "../../../scp/v2/mod.ts";
import { END_KINDS } from "../../stats.ts";
import type { BackendSnapshot } from "../backend_side.ts";
import type { EndedSnapshot } from "../ended_sessions.ts";
import type { ProxySessionSnapshot } from "../session.ts";
import type { RecordSnapshot } from "../session_record.ts";
import type { AckedBackendSnapshot } from "../v2/acked_backend.ts";
import type { AckedProxySessionSnapshot } from "../v2/acked_proxy_session.ts";
import type { GoneSnapshot } from "../v2/gone_sessions.ts";
import { conversation } from "./conversation_shape.ts";
import type { Wanted } from "./parting.ts";
import {
  bytes,
  count,
  decimal,
  duration,
  endpoint,
  id,
  integer,
  list,
  object,
  oneOf,
  optional,
  type Shape,
  ShapeError,
  text,
  truth,
  tuple,
} from "./shape.ts";

/** The form of what goes from one table to another: another number is another form. */
export const FORMAT = 1;

/** A session, of either version, with what its connections are beside their descriptors, which come in this order. */
export interface MovedSession<Kind extends string, Snapshot> {
  format: typeof FORMAT;
  kind: Kind;
  snapshot: Snapshot;
  client: Remains | undefined;
  backend: Remains | undefined;
}

/** The ids of all that is to come: first. */
export interface MovedIds {
  format: typeof FORMAT;
  kind: "ids";
  ids: number[];
}

/** What is remembered of sessions that have ended, or a part of that. */
export interface MovedMemory {
  format: typeof FORMAT;
  kind: "memory";
  ended: EndedSnapshot[];
  gone: GoneSnapshot[];
}

/** All sessions have come: sockets that their clients share are to be read. */
export interface MovedEnd {
  format: typeof FORMAT;
  kind: "end";
}

/** What goes from one table to another: plain data. */
export type Moved =
  | MovedIds
  | MovedSession<"session", ProxySessionSnapshot>
  | MovedSession<"acked session", AckedProxySessionSnapshot>
  | MovedMemory
  | MovedEnd;

const remains = object<Remains & { conversation?: Conversation | undefined }>({
  ...{ came: bytes, isOver: truth, fault: optional(text), unsent: bytes, isEnding: truth },
  conversation: optional(conversation),
});
const dialect = oneOf("goscon", "plain");
type Ciphers = NonNullable<SessionSnapshot["ciphers"]>;
const cipher = object<Ciphers[0]>({ state: bytes, i: count, j: count });
const ciphers = optional(tuple<Ciphers>(cipher, cipher));
const sessionState = object<SessionSnapshot>({
  ...{ id, secret: decimal, dialect, cacheSize: count },
  ...{ received: count, sent: count, index: count, cache: bytes, ciphers },
});
const ackedState = object<AckedSessionSnapshot>({
  ...{ id, secret: decimal, dialect, cacheSize: count, window: count, peerWindow: count },
  ...{ index: count, pings: count, ciphers },
  reader: object<AckedSessionSnapshot["reader"]>({ left: count, skip: count, begun: list(count) }),
  outgoing: object<AckedSessionSnapshot["outgoing"]>({
    ...{ sent: count, acked: count, finish: oneOf("none", "wanted", "sent") },
    ...{ frames: bytes, base: count, written: count, saying: bytes },
    toSay: object<AckedSessionSnapshot["outgoing"]["toSay"]>({
      ...{ ack: optional(count), pong: optional(count), ping: optional(count), move: optional(text) },
    }),
  }),
  incoming: object<AckedSessionSnapshot["incoming"]>({
    ...{ received: count, said: count, waiting: bytes, isFinished: truth, isDone: truth, isAckWanted: truth },
  }),
});
const record = object<RecordSnapshot>({
  ...{ client: endpoint, origin: text, target: text, upstream: text, host: text, since: duration },
  ...{ resumes: count, resent: count, heardFor: duration, lostFor: duration },
});
const wanted = optional(object<Wanted>({ target: text, flag: count, remote: endpoint, local: endpoint }));
const side = optional(
  object<BackendSnapshot>({ held: bytes, isEnding: truth, isFed: truth, isEnded: truth, isBroken: truth }),
);
const endKind = oneOf(...END_KINDS);
const session = object<ProxySessionSnapshot>({
  ...{ session: sessionState, record, isKnown: truth, toClient: bytes, backend: side, wanted },
  link: optional(object<LinkStanding>({ first: bytes, written: count, isToldFinished: truth })),
  upstreamEnd: tuple<ProxySessionSnapshot["upstreamEnd"]>(endKind, text),
  due: optional(
    object<NonNullable<ProxySessionSnapshot["due"]>>({ left: duration, kind: endKind, reason: optional(text) }),
  ),
});
const liveness = object<LivenessSnapshot>({
  ...{ heardFor: duration, saidFor: duration, pingFor: optional(duration) },
  ...{ isHeard: truth, isSaid: truth, received: count },
});
const acked = object<AckedProxySessionSnapshot>({
  ...{ session: ackedState, record, isKnown: truth, toClient: bytes, wanted },
  terms: object<AckedProxySessionSnapshot["terms"]>({
    ...{ key: bytes, reuseTime: duration, pingInterval: duration, pingTimeout: duration },
  }),
  link: optional(object<AckedLinkStanding>({ unanswered: integer, liveness })),
  backend: object<AckedBackendSnapshot>({ hasEnded: truth, failure: optional(text), isInputEnded: truth, side }),
  ...{ awayLeft: optional(duration), halfOpenLeft: optional(duration) },
});
const ended = object<EndedSnapshot>({
  id,
  answer: optional(object<NonNullable<EndedSnapshot["answer"]>>({ session: sessionState, left: duration })),
});
const gone = object<GoneSnapshot>({ id, key: bytes, end: count, index: count, left: duration });

const format = oneOf<typeof FORMAT>(FORMAT);
const connections = { client: optional(remains), backend: optional(remains) };
const KINDS: { [K in Moved["kind"]]: Shape<Extract<Moved, { kind: K }>> } = {
  ids: object<MovedIds>({ format, kind: oneOf("ids"), ids: list(id) }),
  session: object<Extract<Moved, { kind: "session" }>>({
    ...{ format, kind: oneOf("session"), snapshot: session, ...connections },
  }),
  "acked session": object<Extract<Moved, { kind: "acked session" }>>({
    ...{ format, kind: oneOf("acked session"), snapshot: acked, ...connections },
  }),
  memory: object<MovedMemory>({ format, kind: oneOf("memory"), ended: list(ended), gone: list(gone) }),
  end: object<MovedEnd>({ format, kind: oneOf("end") }),
};

/** Reads what another table gave with so many descriptors. Throws `ShapeError` when it is not of this format. */
export function readMoved(value: unknown, descriptors: number): Moved {
  const { format: found, kind } = (typeof value === "object" && value || {}) as Partial<Moved>;
  if (found !== FORMAT) throw new ShapeError(`the format is ${String(found)}, where only ${FORMAT} is known`);
  if (kind === undefined || !Object.hasOwn(KINDS, kind)) {
    throw new ShapeError(`the kind is ${String(kind)}, which is none`);
  }
  KINDS[kind](value, kind);
  const moved = value as Moved;
  const wanted = "snapshot" in moved ? Number(moved.client !== undefined) + Number(moved.backend !== undefined) : 0;
  if (descriptors !== wanted) throw new ShapeError(`there are ${descriptors} descriptors for ${wanted} connections`);
  return moved;
}
