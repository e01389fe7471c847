import type { Config } from "../../config.ts";
import { type ClientLink, reasonOf } from "../../link/link.ts";
import { type NewRequest, ScpError } from "../../scp/mod.ts";
import { parseOffer } from "../../scp/v2/mod.ts";
import type { Seams } from "../seams.ts";
import type { CacheBudget } from "../session/cache/cache_budget.ts";
import type { Arrival, Prepared } from "../session/session_factory.ts";
import type { SessionTable } from "../session/session_table.ts";
import { type KeyPair, ServerKeys } from "../session/v2/server_keys.ts";
import type { Admission } from "./admission.ts";
import { refused } from "./refused.ts";

export interface BeginningsOptions {
  seams: Seams;
  admission: Admission;
  sessions: SessionTable;
  budget: CacheBudget;
  /** The configuration in effect. */
  config: () => Config;
}

/** It came to nothing although its client has an answer that it would: there is no second one. */
class Answered extends Error {}

/** How new sessions begin in this thread: who may have one, with which keys, and when its client has shown where it is. */
export class Beginnings {
  readonly #options: BeginningsOptions;
  /** Throws when a link was closed meanwhile: a session over it would not be told of its loss. */
  readonly #assertOpen: (link: ClientLink) => void;
  readonly #serverKeys: ServerKeys;

  constructor(options: BeginningsOptions, assertOpen: (link: ClientLink) => void) {
    this.#options = options;
    this.#assertOpen = assertOpen;
    this.#serverKeys = new ServerKeys((callback) => options.seams.engine.soon(callback));
  }

  /** How many keys of new sessions of version 2 are being derived, or wait for that. */
  get keysWaiting(): number {
    return this.#serverKeys.waiting;
  }

  /** Begins one, which owns the link when this settles. Rejects with why not, and then the caller still has it. */
  async begin(arrival: Arrival<NewRequest>): Promise<void> {
    const { admission, sessions, budget, config, seams: { cluster, stats } } = this.#options;
    const { link, content, request } = arrival;
    const offer = config().scp.version === 2 ? parseOffer(content, request.flag) : undefined;
    if (cluster.mayBegin === false) throw refused(stats, "no_slot");
    const keys = offer && this.#serverKeys.for(offer.key);
    const prepare = () => sessions.prepare(arrival, keys && { offer, publicKey: keys.publicKey });
    if (!link.prove) return await this.#begin(arrival, keys, prepare);
    if (sessions.isMovingOut) throw new ScpError(501, "all sessions go to another process");
    const refusal = admission.refusesSession(budget.spent);
    if (refusal) throw refused(stats, refusal);
    // No other limit means anything, and nothing is worth its cost, before it is known who that is.
    const proven = prepare();
    await sessions.await(proven, this.#beginWhenProven(arrival, keys, proven));
  }

  async #beginWhenProven(arrival: Arrival<NewRequest>, keys: KeyPair | undefined, proven: Prepared): Promise<void> {
    await arrival.link.prove!(proven.answer);
    await this.#begin(arrival, keys, () => proven, true).catch((error) => {
      throw new Answered(reasonOf(error));
    });
  }

  /** `isAnswered`: the client has the answer of what `prepare` gives. */
  async #begin(
    { link }: Arrival<NewRequest>,
    keys: KeyPair | undefined,
    prepare: () => Prepared,
    isAnswered = false,
  ): Promise<void> {
    const { admission, budget, seams: { stats } } = this.#options;
    const begun = await admission.begin(link.remote.hostname, budget.spent);
    if (typeof begun === "string") throw refused(stats, begun);
    try {
      const secret = keys && await this.#derive(keys);
      this.#assertOpen(link);
      if (keys) link.stopPings?.();
      prepare().begin({ onGone: begun.end, isAnswered, secret });
    } catch (error) {
      begun.end();
      throw error;
    }
  }

  async #derive(keys: KeyPair): Promise<Uint8Array> {
    const { stats } = this.#options.seams;
    const secret = await keys.derive();
    if (!secret) throw refused(stats, "key_derivations");
    stats.keyDerivations++;
    return secret;
  }
}
