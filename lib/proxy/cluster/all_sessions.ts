import * as v from "valibot";
import { reasonOf } from "../../link/link.ts";
import {
  type DataPlane,
  mergePages,
  type MissingNode,
  type MoveOutcome,
  NodeAway,
  type SessionPage,
  type SessionQuery,
} from "../data_plane.ts";
import { type IdLayout, type Owner, ownerOf } from "../owner.ts";
import type { SessionInfo } from "../session/session_record.ts";
import type { ClusterNode } from "./nodes/cluster_node.ts";
import { NoOwner } from "./nodes/map/who_owns.ts";
import type { NodeView } from "./nodes/peers.ts";

/** Milliseconds for another node to answer what is asked of a session. */
const ANSWER_TIMEOUT = 2000;
/** The largest id that a session can have. */
const MOST_ID = 2 ** 32 - 1;

/** What must be so of an answer for it to be one among others. */
const page = v.object({
  total: v.number(),
  sessions: v.array(v.looseObject({ id: v.number(), since: v.number() })),
});

export type Sessions = Pick<DataPlane, "sessions" | "session" | "endSession" | "moveSession">;

/** The sessions of all nodes, of which any may be asked. */
export class AllSessions implements Sessions {
  readonly #own: Sessions;
  readonly #node: Pick<ClusterNode, "views" | "owns" | "ask" | "askAll">;
  readonly #layout: IdLayout;

  /** `own`: those of this process. */
  constructor({ own, node, layout }: {
    own: Sessions;
    node: Pick<ClusterNode, "views" | "owns" | "ask" | "askAll">;
    layout: IdLayout;
  }) {
    this.#own = own;
    this.#node = node;
    this.#layout = layout;
  }

  async sessions(query: SessionQuery): Promise<SessionPage> {
    const { node, limit } = query;
    if (node === "this") return await this.#own.sessions(query);
    const isWanted = ({ slot }: { slot: number }) => node === undefined || slot === node;
    const isHere = node === undefined || this.#node.owns(node);
    const views = this.#node.views.filter(isWanted);
    const [own, others] = await Promise.all([
      Promise.all(isHere ? [this.#own.sessions(query)] : []),
      this.#node.askAll("sessions", query, isWanted),
    ]);
    const failed = new Map(others.missing.map(({ from, reason }) => [from.instance, reason]));
    const pages = others.answers.flatMap(({ from, value }) => {
      const read = v.safeParse(page, value);
      if (!read.success) failed.set(from.instance, "what it answered is no list of sessions");
      return read.success ? [value as SessionPage] : [];
    });
    return { ...mergePages([...own, ...pages], limit), missing: missingOf(views, failed) };
  }

  session(id: number): Promise<SessionInfo | undefined> {
    return this.#ofOwner(id, { own: () => this.#own.session(id), none: undefined, ask: ["session", { id }] });
  }

  endSession(id: number): Promise<boolean> {
    return this.#ofOwner(id, { own: () => this.#own.endSession(id), none: false, ask: ["endSession", { id }] });
  }

  moveSession(id: number, url: string): Promise<MoveOutcome> {
    const own = () => this.#own.moveSession(id, url);
    return this.#ofOwner<MoveOutcome>(id, { own, none: "not there", ask: ["moveSession", { id, url }] });
  }

  /** Asks whose session that is; `none`: there is no such owner. Rejects with `NodeAway` when it does not answer. */
  async #ofOwner<T>(
    id: number,
    { own, none, ask: [method, args] }: { own: () => Promise<T>; none: T; ask: [string, unknown] },
  ): Promise<T> {
    if (id < 1 || id > MOST_ID) return none;
    const owner: Owner = ownerOf(id, this.#layout);
    if (this.#node.owns(owner.slot, owner.epoch)) return await own();
    try {
      return await this.#node.ask(owner, method, args, ANSWER_TIMEOUT) as T;
    } catch (error) {
      if (error instanceof NoOwner) return none;
      throw new NodeAway(`node ${owner.slot}, whose session that is, cannot be asked: ${reasonOf(error)}`);
    }
  }
}

/** Slots of which nothing is told, though sessions of them may live. `failed`: why instances that are up have not answered. */
function missingOf(views: readonly NodeView[], failed: ReadonlyMap<string | undefined, string>): MissingNode[] {
  const missing = new Map<number, string>();
  for (const { slot, instance, state } of views) {
    const reason = state === "up" ? failed.get(instance) : WHY_NOT_ASKED[state];
    if (reason !== undefined) missing.set(slot, reason);
  }
  return [...missing].map(([node, reason]) => ({ node, reason }));
}

const WHY_NOT_ASKED = { away: "it is away", unknown: "it has not been reached yet", refused: undefined };
