import { Session, type SessionSnapshot } from "../../scp/mod.ts";

/** One that is remembered, as plain data. */
export interface EndedSnapshot {
  id: number;
  /** What answers its resumes, and for how many milliseconds; missing: nothing does. */
  answer: { session: SessionSnapshot; left: number } | undefined;
}

/** The sessions of version 1 that have ended lately: of those that came to their end in order, what answers a resume. */
export class EndedSessions {
  /** In the order in which they ended. */
  readonly #ended = new Map<number, Session | undefined>();
  /** Until when each of these is answered, in the same order. */
  readonly #answered = new Map<number, number>();
  readonly #most: number;

  /** Beyond `most` the oldest are forgotten. */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#ended.size;
  }

  has(id: number): boolean {
    return this.#ended.has(id);
  }

  ids(): Iterable<number> {
    return this.#ended.keys();
  }

  /** What answers the resumes of one, as often as one comes. */
  get(id: number): Session | undefined {
    return this.#ended.get(id);
  }

  /** Remembers one, of which nothing that it lacks is held any more. `until`: when it is answered no more; missing: it is not. */
  add(session: Session, until: number | undefined): void {
    session.retire();
    this.#add(session.id, session, until);
  }

  /** From then on their resumes meet 404. */
  forget(now: number): void {
    for (const [id, until] of this.#answered) {
      if (until > now) return;
      this.#answered.delete(id);
      this.#ended.set(id, undefined);
    }
  }

  /** Those that are not in `told`, which they are then. Meanwhile others may be added, which come as well, and some forgotten. */
  *snapshotsAt(now: number, told: Set<number>): Generator<EndedSnapshot> {
    for (const [id, session] of this.#ended) {
      if (told.has(id)) continue;
      told.add(id);
      const left = this.#answered.get(id);
      const answer = session && left !== undefined ? { session: session.snapshot, left: left - now } : undefined;
      yield { id, answer };
    }
  }

  /** Remembers those that were written down. */
  restore(ended: readonly EndedSnapshot[], now: number): void {
    for (const { id, answer } of ended) {
      if (answer) this.add(Session.restore(answer.session), now + answer.left);
      else this.#add(id, undefined, undefined);
    }
  }

  #add(id: number, session: Session | undefined, until: number | undefined): void {
    this.#ended.set(id, until === undefined ? undefined : session);
    if (until !== undefined) this.#answered.set(id, until);
    if (this.#ended.size <= this.#most) return;
    const [oldest] = this.#ended.keys();
    this.#ended.delete(oldest!);
    this.#answered.delete(oldest!);
  }
}
