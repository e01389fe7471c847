import type { Came } from "../../../../link/kcp/away.ts";
import type { Destination, MovedOut, OnDatagrams, Snapshot } from "../../../data_plane.ts";
import { type IdLayout, ownerOf } from "../../../owner.ts";
import { FORMAT, type MovedEnd, readMoved } from "../../../session/move/moved.ts";
import { partsOf } from "../../../session/move/parts.ts";
import { within } from "../../../../within.ts";
import { addUp } from "../add_up.ts";
import { isMovedCounts, type Ledger } from "../counts.ts";
import type { Remote } from "../rpc.ts";
import type { WorkerMethods } from "../worker.ts";
import type { Given } from "./moving_out.ts";

/** Of what comes for clients of KCP, so much may wait for a thread that does not hear: of more the last is lost. */
const MOST_HEARD = 1024;
const END: MovedEnd = { format: FORMAT, kind: "end" };

export interface MovingOptions {
  /** The threads, which come later. */
  remotes: readonly Remote<WorkerMethods>[];
  layout: () => IdLayout;
  ledger: Ledger;
  /** Milliseconds that a thread has for each step. */
  timeout: () => number;
  snapshot: () => Promise<Snapshot>;
  /** Tells all threads that nothing more is to go, and gives what each says; one that is hung hears of it when it goes on. */
  end: (isGone: boolean) => Promise<Given[]>;
}

/** What of the threads of a process goes to another process, and comes from one: see `ReplaceableDataPlane`. */
export class Moving {
  readonly #options: MovingOptions;
  /** Missing: nothing goes anywhere. */
  #to: Destination | undefined;
  /** What the threads are being told of, and what came since. */
  readonly #heard: [cookie: number, came: readonly Came[]][] = [];

  constructor(options: MovingOptions) {
    this.#options = options;
  }

  /** Gets what comes for clients of KCP whose sessions have gone over; missing: nobody does. */
  get onDatagrams(): OnDatagrams | undefined {
    return this.#to?.onDatagrams;
  }

  /** See `Destination`. */
  async openLane(thread: number): Promise<number> {
    if (this.#to) return await this.#to.openLane(thread);
    throw new Error("no session goes anywhere");
  }

  /**
   * That all has come is told when it has of all threads. Only one process may read a socket of KCP, where each of its clients may have a
   * session in either: until then that is the old one, which gives what is not its own. In between nobody does.
   */
  async *moveOut(to: Destination): AsyncGenerator<MovedOut, void, void> {
    const { remotes, ledger, snapshot } = this.#options;
    this.#to = to;
    let sessions = 0;
    const counted = ({ overKcp, ...given }: Given): MovedOut => {
      sessions += overKcp;
      return given;
    };
    // From then on the other process knows of all that are to come.
    yield counted((await this.#next(remotes)).given);
    for (const remote of remotes) for await (const given of this.#moveOut([remote])) yield counted(given);
    const since = performance.now();
    await this.#inTime(Promise.all(remotes.map((remote) => remote.setListening("still"))));
    // What has begun meanwhile.
    for await (const given of this.#moveOut(remotes)) yield counted(given);
    yield { ...about(END), still: { sessions, since }, isAfterAll: true };
    yield* this.#moveOut(remotes);
    const last = await snapshot().catch(() => undefined);
    if (last) yield { ...about(ledger.moved(last)), isAfterAll: true };
  }

  async *moveLate(to: Destination): AsyncGenerator<MovedOut, void, void> {
    this.#to = to;
    yield* this.#moveOut(this.#options.remotes, true);
  }

  async endMoving(isGone: boolean): Promise<MovedOut> {
    this.#to = undefined;
    return together(await this.#options.end(isGone));
  }

  /** One part of what these threads have, see `SessionTable.moveOut`, what all give at a time together: see `#next`. */
  async *#moveOut(remotes: readonly Remote<WorkerMethods>[], isLate = false): AsyncGenerator<Given, void, void> {
    for (let left = remotes; left.length > 0;) {
      const next = await this.#next(left, isLate);
      yield next.given;
      if (next.given.broken !== undefined) throw new Error(next.given.broken);
      left = next.left;
    }
  }

  /** The next of what these threads have; and those that have not come to the end of a part. */
  async #next(
    remotes: readonly Remote<WorkerMethods>[],
    isLate = false,
  ): Promise<{ given: Given; left: Remote<WorkerMethods>[] }> {
    const { layout } = this.#to!;
    const given = await this.#inTime(Promise.all(remotes.map((remote) => remote.moveNext({ layout, isLate }))));
    return { given: together(given), left: remotes.filter((_, i) => !given[i]!.isEnd) };
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
    const { remotes, layout, ledger } = this.#options;
    if (isMovedCounts(data)) return ledger.goOnFrom(data);
    const of = layout();
    const moved = readMoved(data, descriptors.length);
    // Those that took the last sessions may have others to tell that these are theirs, who are to hear of it before.
    if (moved.kind === "end") await Promise.all(remotes.map((remote) => remote.flush()));
    const parts = partsOf(moved, remotes.length, (id) => ownerOf(id, of).thread);
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

/** What several threads gave. */
function together(given: readonly Given[]): Given {
  const broken = given.find((each) => each.broken !== undefined)?.broken;
  return {
    stoodStill: given.flatMap(({ stoodStill }) => stoodStill),
    ...given.reduce((sum, { overKcp, lost }) => addUp(sum, { overKcp, lost }), { overKcp: 0, lost: 0 }),
    refused: given.flatMap(({ refused }) => refused),
    pieces: given.flatMap(({ pieces }) => pieces),
    ...(broken !== undefined && { broken }),
    isEnd: given.every(({ isEnd }) => isEnd),
  };
}

/** What is no session itself. */
export function about(piece: unknown): MovedOut {
  return { stoodStill: [], refused: [], lost: 0, pieces: [piece] };
}
