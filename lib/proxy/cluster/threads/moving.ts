import type { Config } from "../../../config.ts";
import type { Came } from "../../../link/kcp/away.ts";
import { isOfKcp } from "../../../link/kcp/conversation.ts";
import type { OnDatagrams, RestingSession, Snapshot } from "../../data_plane.ts";
import { layoutFor, ownerOf } from "../../owner.ts";
import { FORMAT, type Moved, type MovedEnd, readMoved } from "../../session/move/moved.ts";
import type { Packed } from "../../session/move/packed.ts";
import { partsOf } from "../../session/move/parts.ts";
import { within } from "../../../within.ts";
import { isMovedCounts, type Ledger } from "./counts.ts";
import type { Remote } from "./rpc.ts";
import type { WorkerMethods } from "./worker.ts";

/** Of what comes for clients of KCP, so much may wait for a thread that does not hear: of more the last is lost. */
const MOST_HEARD = 1024;
const END: MovedEnd = { format: FORMAT, kind: "end" };

export interface MovingOptions {
  /** The threads, which come later. */
  remotes: readonly Remote<WorkerMethods>[];
  cluster: Config["cluster"];
  ledger: Ledger;
  /** Milliseconds that a thread has for each step. */
  timeout: () => number;
  snapshot: () => Promise<Snapshot>;
  /** Tells all threads that nothing more is to go; one that is hung hears of it when it goes on. */
  end: () => Promise<unknown>;
}

/** What of the threads of a process goes to another process, and comes from one: see `ReplaceableDataPlane`. */
export class Moving {
  /** Gets what comes for clients of KCP whose sessions have gone over; missing: nobody does. */
  onDatagrams: OnDatagrams | undefined;
  readonly #options: MovingOptions;
  /** What the threads are being told of, and what came since. */
  readonly #heard: [cookie: number, came: readonly Came[]][] = [];

  constructor(options: MovingOptions) {
    this.#options = options;
  }

  /**
   * That all has come is told when it has of all threads. Only one process may read a socket of KCP, where each of its clients may have a
   * session in either: until then that is the old one, which gives what is not its own. In between nobody does.
   */
  async *moveOut(onDatagrams: OnDatagrams): AsyncGenerator<RestingSession[], void, void> {
    const { remotes, ledger, snapshot, end } = this.#options;
    this.onDatagrams = onDatagrams;
    let sessions = 0;
    const counted = (resting: RestingSession[]) => {
      sessions += resting.filter(({ data }) => isOverKcp(data)).length;
      return resting;
    };
    try {
      // From then on the other process knows of all that are to come.
      yield (await this.#next(remotes)).resting;
      for (const remote of remotes) for await (const resting of this.#moveOut([remote])) yield counted(resting);
      const since = performance.now();
      await this.#inTime(Promise.all(remotes.map((remote) => remote.setListening("still"))));
      // What has begun meanwhile.
      for await (const resting of this.#moveOut(remotes)) yield counted(resting);
      yield [{ ...about(END), still: { sessions, since }, isAfterAll: true }];
      yield* this.#moveOut(remotes);
      const last = await snapshot().catch(() => undefined);
      if (last) yield [{ ...about(ledger.moved(last)), isAfterAll: true }];
    } finally {
      this.onDatagrams = undefined;
      await end();
    }
  }

  async *moveLate(): AsyncGenerator<RestingSession[], void, void> {
    const { remotes, end } = this.#options;
    try {
      yield* this.#moveOut(remotes, true);
    } finally {
      await end();
    }
  }

  /** One part of what these threads have, see `SessionTable.moveOut`, what all give at a time together: see `#next`. */
  async *#moveOut(
    remotes: readonly Remote<WorkerMethods>[],
    isLate = false,
  ): AsyncGenerator<RestingSession[], void, void> {
    for (let left = remotes; left.length > 0;) {
      const next = await this.#next(left, isLate);
      if (next.resting.length > 0) yield next.resting;
      left = next.left;
    }
  }

  /** The next of what these threads have; and those that have not come to the end of a part. */
  async #next(
    remotes: readonly Remote<WorkerMethods>[],
    isLate = false,
  ): Promise<{ resting: RestingSession[]; left: Remote<WorkerMethods>[] }> {
    const given = await this.#inTime(
      Promise.all(remotes.map(async (remote) => ({ remote, pieces: await remote.moveNext({ isLate }) }))),
    );
    const resting = given.flatMap(({ remote, pieces }) =>
      pieces.map((piece, i) => "snapshot" in piece.data ? restingOf(piece, i, remote) : about(piece.data))
    );
    return { resting, left: given.filter(({ pieces }) => pieces.length > 0).map(({ remote }) => remote) };
  }

  /** Who has some sessions already would lose them: one that is slow is not given up as soon as one that is hung. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const done = await within(this.#options.timeout(), work.then((value) => ({ value })));
    if (!done) throw new Error("a thread does not answer");
    return done.value;
  }

  assertMovable(data: unknown, descriptors: number): void {
    if (!isMovedCounts(data)) readMoved(data, descriptors);
  }

  async moveIn(data: unknown, descriptors: readonly number[]): Promise<void> {
    const { remotes, cluster, ledger } = this.#options;
    if (isMovedCounts(data)) return ledger.goOnFrom(data);
    const layout = layoutFor(cluster, remotes.length);
    const parts = partsOf(readMoved(data, descriptors.length), remotes.length, (id) => ownerOf(id, layout).thread);
    await Promise.all(parts.map(({ thread, part }) => remotes[thread]!.moveIn(part, descriptors)));
  }

  /** Only the threads know whose socket that is. They are told of more when they have heard of what there was. */
  hearDatagrams(cookie: number, came: readonly Came[]): void {
    if (this.#heard.length === MOST_HEARD) return;
    this.#heard.push([cookie, came]);
    if (this.#heard.length === 1) void this.#tellHeard();
  }

  async #tellHeard(): Promise<void> {
    const all = this.#heard.slice();
    await Promise.all(this.#options.remotes.map((remote) => remote.hearKcp(all))).catch(() => {}); // it may be lost
    this.#heard.splice(0, all.length);
    if (this.#heard.length > 0) void this.#tellHeard();
  }
}

/** That one of the pieces of a thread. */
function restingOf(
  piece: Pick<Packed, "data" | "descriptors">,
  index: number,
  remote: Remote<WorkerMethods>,
): RestingSession {
  const onTaken = () => void remote.movedOver(index);
  return { ...piece, count: 1, onTaken, onKept: () => void remote.movedBack(index) };
}

/** Whether that is a session whose client comes by KCP. */
function isOverKcp(data: unknown): boolean {
  const { client } = data as Partial<Extract<Moved, { snapshot: unknown }>>;
  return client !== undefined && isOfKcp(client);
}

/** What is not a session itself. */
export function about(data: unknown): RestingSession {
  return { data, descriptors: [], count: 0, onTaken() {}, onKept() {} };
}
