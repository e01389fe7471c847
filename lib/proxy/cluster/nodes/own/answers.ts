import type { Public } from "../../../publics.ts";
import * as v from "valibot";
import type { Endpoint } from "../../../../link/link.ts";
import type { MoveOutcome, SessionPage, SessionQuery, Snapshot } from "../../../data_plane.ts";
import type { SessionInfo } from "../../../session/session_record.ts";
import { type Identity, PUBLICS } from "../peers.ts";
import type { ClosedNumbers } from "../watching/closed_numbers.ts";
import type { WatchAnswer } from "../watching/watch_answer.ts";

/** Who asks. */
export interface Asker extends Identity {
  role: "node" | "edge";
  addr?: Endpoint;
}

/** What other nodes may ask of this process itself. */
export interface LocalHandlers {
  sessions(query: SessionQuery): Promise<SessionPage>;
  session(id: number): Promise<SessionInfo | undefined>;
  endSession(id: number): Promise<boolean>;
  moveSession(id: number, url: string): Promise<MoveOutcome>;
  /** See `DataPlane.moveOff`. */
  moveCarried(args: { instance: string; most: number }): Promise<number>;
  snapshot(): Promise<Snapshot>;
}

/** One that watches this process. */
export interface Watcher extends Asker {
  /** The URLs by which clients reach it, who may be told to move there. */
  publics: Public[];
  /** Since when, and when it asked last, in milliseconds since 1970. */
  since: number;
  at: number;
}

const id = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffffffff));
const query = v.object({
  limit: v.pipe(v.number(), v.integer(), v.minValue(0)),
  filter: v.exactOptional(v.string()),
  state: v.exactOptional(v.picklist(["connecting", "attached", "detached"])),
  version: v.exactOptional(v.picklist([1, 2])),
  node: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(0))),
});
const byId = v.object({ id });
const move = v.object({ id, url: v.pipe(v.string(), v.maxBytes(255)) });
const moveCarried = v.object({ instance: v.string(), most: v.pipe(v.number(), v.integer(), v.minValue(0)) });
const watch = v.object({
  confirmed: v.optional(v.number(), 0),
  edition: v.optional(v.string(), ""),
  publics: v.optional(PUBLICS, []),
});

export interface AnswersOptions {
  handlers: LocalHandlers;
  /** What this process says of itself, and knows. */
  tell: () => Omit<WatchAnswer, "closed" | "batch">;
  /** The largest epochs that it remembers, by slot. */
  epochs: () => ReadonlyMap<number, number>;
  closed: ClosedNumbers;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** What this process answers to others. */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #watchers = new Map<string, Watcher>();

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** Those that watch this process. */
  get watchers(): Watcher[] {
    return [...this.#watchers.values()];
  }

  /** Rejects with an `Error` that the one who asks is told. */
  async answer(from: Asker, method: string, args: unknown): Promise<unknown> {
    const { handlers, epochs } = this.#options;
    switch (method) {
      case "watch":
        return this.#watch(from, read(watch, args));
      case "epochs":
        return Object.fromEntries(epochs());
      case "sessions":
        return await handlers.sessions(read(query, args));
      case "session":
        return await handlers.session(read(byId, args).id);
      case "endSession":
        return await handlers.endSession(read(byId, args).id);
      case "moveSession": {
        const { id, url } = read(move, args);
        return await handlers.moveSession(id, url);
      }
      case "moveCarried":
        return await handlers.moveCarried(read(moveCarried, args));
      case "snapshot":
        return await handlers.snapshot();
    }
    throw new Error(`nothing here answers to ${JSON.stringify(method)}`);
  }

  /** Forgets who has not asked since then. */
  sweep(before: number): void {
    for (const [instance, { at }] of this.#watchers) if (at < before) this.#watchers.delete(instance);
  }

  /** All that is known is told again only when it is something else: each node asks each other one every second. */
  #watch(from: Asker, { confirmed, edition, publics }: v.InferOutput<typeof watch>): WatchAnswer {
    const now = this.#options.now();
    const { since = now } = this.#watchers.get(from.instance) ?? {};
    this.#watchers.set(from.instance, { ...from, publics, since, at: now });
    const told = this.#options.tell();
    const known = told.edition === edition ? [] : told.known;
    return { ...told, known, ...this.#options.closed.tell(from.instance, confirmed, now) };
  }
}

function read<T>(form: v.BaseSchema<unknown, T, v.BaseIssue<unknown>>, args: unknown): T {
  const { success, issues, output } = v.safeParse(form, args);
  if (success) return output;
  const [issue] = issues;
  throw new Error(`what is asked is wrong: ${v.getDotPath(issue) ?? "all of it"}: ${issue.message}`);
}
