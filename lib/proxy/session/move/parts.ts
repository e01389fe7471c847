import type { Moved } from "./moved.ts";

/** What of that goes to which of so many threads, where `threadOf` says whose an id is. */
export function partsOf(
  moved: Moved,
  threads: number,
  threadOf: (id: number) => number,
): { thread: number; part: Moved }[] {
  if ("snapshot" in moved) return [{ thread: threadOf(moved.snapshot.session.id), part: moved }];
  return Array.from({ length: threads }, (_, thread) => {
    if (moved.kind === "end") return { thread, part: moved };
    const isIts = ({ id }: { id: number }) => threadOf(id) === thread;
    const part: Moved = moved.kind === "ids"
      ? { ...moved, ids: moved.ids.filter((id) => isIts({ id })) }
      : { ...moved, ended: moved.ended.filter(isIts), gone: moved.gone.filter(isIts) };
    return { thread, part };
  });
}
