import type { Engine } from "../../../../link/engine/engine.ts";
import { isOfKcp } from "../../../../link/kcp/conversation.ts";
import { reasonOf } from "../../../../link/link.ts";
import { within } from "../../../../within.ts";
import { type IdLayout, ownerOf } from "../../../owner.ts";
import type { Proxy } from "../../../proxy.ts";
import type { Moved } from "../../../session/move/moved.ts";
import type { Packed } from "../../../session/move/packed.ts";
import { Lane } from "./lane.ts";

/** Milliseconds for which sessions go, some at a time, before it is told of them. */
const STRETCH = 100;

/** What a thread gave to another process in a while. */
export interface Given {
  /** For how many milliseconds each session stood still that is the other's now; and how many of these are over KCP. */
  stoodStill: number[];
  overKcp: number;
  /** Why others were not taken, which go on here; and how many were, and do not go on. */
  refused: string[];
  lost: number;
  /** What is no session, which is to be given by whoever asked. */
  pieces: Moved[];
  /** Why no more can go. */
  broken?: string;
  /** One of the three parts has come to its end: see `SessionTable.moveOut`. */
  isEnd: boolean;
}

export interface MovingOutOptions {
  proxy: Pick<Proxy, "moveOut" | "moveLate" | "moveIn" | "movedIds">;
  engine: Engine;
  /** A clock that the other process has as well. */
  now: () => number;
  /** Milliseconds for the other process to take what it is given at a time. */
  timeout: () => number;
  /** A descriptor of the way to that thread of the other process, which is the caller's. */
  openLane: (thread: number) => Promise<number>;
}

type MovedSession = Extract<Moved, { snapshot: unknown }>;

/** Sessions of a thread on their way to another process: some at a time, of each of which is known what came of it before the next. */
export class MovingOut {
  readonly #options: MovingOutOptions;
  readonly #lanes = new Map<number, Promise<Lane>>();
  #layout: IdLayout | undefined;
  #pieces: AsyncGenerator<Packed[], void, void> | undefined;
  /** Of what is not told yet. */
  #given = nothingGiven();
  /** Settles when it is known what came of those that are on their way. */
  #passing: Promise<unknown> | undefined;

  constructor(options: MovingOutOptions) {
    this.#options = options;
  }

  /** Gives some of what is left of a part: see `SessionTable.moveOut`, and `moveLate`. `layout`: of the other process. */
  async next({ layout, isLate }: { layout: IdLayout; isLate: boolean }): Promise<Given> {
    const { now } = this.#options;
    this.#pieces ??= await this.#begin(layout, isLate);
    for (const begun = now(); now() - begun < STRETCH;) {
      const since = now();
      const { value: together = [] } = await this.#pieces.next();
      if (together[0] && isSession(together[0].data)) {
        await this.#pass(together, since);
        if (this.#given.broken === undefined) continue;
      } else {
        this.#given.pieces = together.map(({ data }) => data);
        this.#given.isEnd = together.length === 0;
      }
      break;
    }
    return this.#told();
  }

  /** No more is wanted. `isGone`: see `Lane.end`; what the other process has not taken then goes on here. Gives what was not told yet. */
  async end(isGone: boolean): Promise<Given> {
    await this.#pieces?.return();
    this.#pieces = undefined;
    for (const opened of this.#lanes.values()) {
      const lane = await opened.catch(() => undefined); // there was none to be had
      (await lane?.end(isGone))?.forEach((session) => this.#back(session));
    }
    this.#lanes.clear();
    await this.#passing;
    return this.#told();
  }

  /** No session stands still before there is a way for it, but those that begin meanwhile. */
  async #begin(layout: IdLayout, isLate: boolean): Promise<AsyncGenerator<Packed[], void, void>> {
    const { proxy } = this.#options;
    this.#layout = layout;
    if (isLate) return proxy.moveLate();
    await Promise.all(proxy.movedIds().ids.map((id) => this.#laneFor(id)));
    return proxy.moveOut();
  }

  /** Each as its lane says; `since` when they began to stand still. */
  async #pass(sessions: readonly Packed[], since: number): Promise<void> {
    const timeout = this.#options.timeout();
    try {
      const all = sessions.map((session) => this.#passOne(session, since));
      this.#passing = Promise.allSettled(all);
      if (!await within(timeout, Promise.all(all))) {
        throw new Error(`no session is taken within ${timeout} ms (upgrade_timeout)`);
      }
    } catch (error) {
      this.#given.broken = reasonOf(error);
    }
  }

  async #passOne(session: Packed, since: number): Promise<void> {
    const { client, snapshot } = session.data as MovedSession;
    let lane: Lane;
    try {
      lane = await this.#laneFor(snapshot.session.id);
      if (lane.hasEnded) throw new Error("it was given up");
    } catch (error) {
      this.#back(session);
      throw error;
    }
    const outcome = await lane.pass(session, since);
    if (outcome.step === "refused") {
      this.#given.refused.push(outcome.reason);
      return this.#back(session);
    }
    if (outcome.step === "lost") {
      this.#given.lost++;
      throw new Error("the other process has broken off");
    }
    if (client && isOfKcp(client)) this.#given.overKcp++;
    this.#given.stoodStill.push(outcome.stoodStill);
  }

  #told(): Given {
    const given = this.#given;
    this.#given = nothingGiven();
    return given;
  }

  /** It goes on here. */
  #back({ data, descriptors, done }: Packed): void {
    this.#options.proxy.moveIn(data, descriptors);
    done();
  }

  #laneFor(id: number): Promise<Lane> {
    const { thread } = ownerOf(id, this.#layout!);
    const lane = this.#lanes.get(thread) ?? this.#open(thread);
    this.#lanes.set(thread, lane);
    return lane;
  }

  async #open(thread: number): Promise<Lane> {
    const { engine, openLane } = this.#options;
    return new Lane(engine.adoptSocket!(await openLane(thread)));
  }
}

function isSession(data: Moved): data is MovedSession {
  return "snapshot" in data;
}

function nothingGiven(): Given {
  return { stoodStill: [], overKcp: 0, refused: [], lost: 0, pieces: [], isEnd: false };
}
