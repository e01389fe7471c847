import { join } from "node:path";
import * as v from "valibot";
import { reasonOf } from "../../../link/link.ts";
import type { Log } from "../../../log.ts";
import type { Claim } from "./discovery.ts";

/** A slot that this host had, in which epoch, and which of its processes that was. */
export interface Had extends Claim {
  instance: string;
}

const NUMBER = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const STATE = v.object({ slots: v.array(v.object({ slot: NUMBER, epoch: NUMBER, instance: v.string() })) });

/** Remembers over restarts which slots this host had. Where that cannot be, it says so, and what depends on it goes on without. */
export class StateDir {
  readonly #dir: string | undefined;
  readonly #log: Log;
  readonly #had: Map<number, Had>;

  private constructor(dir: string | undefined, log: Log, had: readonly Had[]) {
    this.#dir = dir;
    this.#log = log;
    this.#had = new Map(had.map((one) => [one.slot, one]));
  }

  /** Reads what the directory has. Without one, all is forgotten with the process. */
  static async open(dir: string | undefined, log: Log): Promise<StateDir> {
    if (dir === undefined) return new StateDir(dir, log, []);
    const file = fileOf(dir);
    try {
      const { slots } = v.parse(STATE, JSON.parse(await Deno.readTextFile(file)));
      return new StateDir(dir, log, slots);
    } catch (error) {
      // The first start finds none.
      if (error instanceof Deno.errors.NotFound) log.info("no epochs remembered", { file });
      else log.warning("remembered epochs not read", { file, reason: reasonOf(error) });
      return new StateDir(dir, log, []);
    }
  }

  /** Each slot once; the one that it had last comes first. */
  get had(): Had[] {
    return [...this.#had.values()].reverse();
  }

  epochOf(slot: number): number | undefined {
    return this.#had.get(slot)?.epoch;
  }

  /** Remembers it; never rejects. One at a time. */
  async keep(had: Had): Promise<void> {
    this.#had.delete(had.slot);
    this.#had.set(had.slot, had);
    if (this.#dir === undefined) return;
    const file = fileOf(this.#dir);
    try {
      await replace(file, JSON.stringify({ slots: [...this.#had.values()] }));
    } catch (error) {
      this.#log.warning("epoch not remembered", { file, reason: reasonOf(error) });
    }
  }
}

function fileOf(dir: string): string {
  return join(dir, "slots.json");
}

/** Writes a file, which whoever reads it meanwhile sees as it was before or as it is then. */
async function replace(file: string, text: string): Promise<void> {
  const next = `${file}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(next, text, { createNew: true, mode: 0o600 });
    await Deno.rename(next, file);
  } catch (error) {
    await Deno.remove(next).catch(() => {});
    throw error;
  }
}
