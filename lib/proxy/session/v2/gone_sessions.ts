import { goneContent, goneProofText, type Proof } from "../../../scp/v2/mod.ts";
import { type Dialect, type ResumeRequest, ScpError } from "../../../scp/mod.ts";
import { ResumeKey } from "./resume_key.ts";

/** A session that has ended. */
export interface Gone {
  id: number;
  key: ResumeKey;
  /** See `END`. */
  end: number;
  /** The last index that was used. */
  index: number;
  /** Until when it is remembered. */
  until: number;
}

/** The same, as plain data. */
export interface GoneSnapshot extends Pick<Gone, "id" | "end" | "index"> {
  key: Uint8Array<ArrayBuffer>;
  /** For how many milliseconds it is remembered. */
  left: number;
}

/** The sessions of version 2 that have ended lately, whose clients are told how (protocol: Version 2: Resume). */
export class GoneSessions {
  /** In the order in which they ended. */
  readonly #gone = new Map<number, Gone>();

  get size(): number {
    return this.#gone.size;
  }

  has(id: number): boolean {
    return this.#gone.has(id);
  }

  ids(): Iterable<number> {
    return this.#gone.keys();
  }

  /**
   * Those that are not in `told` with the index that they have now, which they are then. Meanwhile others may be added, which come as
   * well, and some forgotten.
   */
  *snapshotsAt(now: number, told: Map<number, number>): Generator<GoneSnapshot> {
    for (const { id, key, end, index, until } of this.#gone.values()) {
      if (told.get(id) === index) continue;
      told.set(id, index);
      yield { id, key: key.bytes, end, index, left: until - now };
    }
  }

  /** Remembers those that were written down; of one that is here already an index that was used stays used. */
  restore(gone: readonly GoneSnapshot[], now: number, most: number): void {
    for (const { key, left, ...rest } of gone) {
      const index = Math.max(rest.index, this.#gone.get(rest.id)?.index ?? 0);
      this.add({ ...rest, index, key: new ResumeKey(key), until: now + left }, most);
    }
  }

  /** Remembers one; beyond `most` the oldest are forgotten. */
  add(gone: Gone, most: number): void {
    this.#gone.set(gone.id, gone);
    for (const id of this.#gone.keys()) {
      if (this.#gone.size <= most) return;
      this.#gone.delete(id);
    }
  }

  /** Forgets those whose time is over: they have one that follows the order, but for what a reload changed. */
  forget(now: number): void {
    for (const { id, until } of this.#gone.values()) {
      if (until > now) return;
      this.#gone.delete(id);
    }
  }

  /** The content of the record that answers a resume of one that is remembered. Throws `ScpError` 401 or 403. */
  answer(request: ResumeRequest, proof: Proof, dialect: Dialect): string {
    const { id, index } = request;
    const gone = this.#gone.get(id)!;
    gone.key.assertProves(request, proof);
    if (index <= gone.index) throw new ScpError(403, `index ${index} is not greater than ${gone.index}`);
    gone.index = index;
    return goneContent(dialect, { value: gone.end, mac: gone.key.sign(goneProofText(index, gone.end)) });
  }
}
