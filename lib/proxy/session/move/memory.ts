import type { EndedSessions } from "../ended_sessions.ts";
import type { GoneSessions } from "../v2/gone_sessions.ts";
import { FORMAT, type MovedMemory } from "./moved.ts";

/** How many go together: they take no thread long, and no message much, as nothing of what the sessions carried is remembered. */
const TOGETHER = 250;

/** What another table has been given of what is remembered here: of version 2 with the index that had been used by then. */
export class Told {
  readonly ended = new Set<number>();
  readonly gone = new Map<number, number>();
}

/** What is remembered of sessions that have ended, but for what has been told and has not changed since, in pieces. All of it is told then. */
export function* memoryOf(
  { ended, gone }: { ended: EndedSessions; gone: GoneSessions },
  told: Told,
  now: number,
): Generator<MovedMemory> {
  for (const piece of pieces(ended.snapshotsAt(now, told.ended))) yield memory({ ended: piece });
  for (const piece of pieces(gone.snapshotsAt(now, told.gone))) yield memory({ gone: piece });
}

function memory({ ended = [], gone = [] }: Partial<Pick<MovedMemory, "ended" | "gone">>): MovedMemory {
  return { format: FORMAT, kind: "memory", ended, gone };
}

function* pieces<T>(all: Iterable<T>): Generator<T[]> {
  let piece: T[] = [];
  for (const one of all) {
    if (piece.push(one) < TOGETHER) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}
