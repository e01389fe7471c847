import * as v from "valibot";
import { parseAddress } from "../../../config/units.ts";
import { type Endpoint, formatEndpoint } from "../../../link/link.ts";
import type { Claim, Found } from "./discovery.ts";
import { RedisConnection } from "./redis_connection.ts";
import { CLAIM, RELEASE, RENEW } from "./redis_scripts.ts";
import type { Had } from "./state_dir.ts";

export interface StoreOptions {
  url: string;
  /** Of all keys. */
  prefix: string;
  slots: number;
  /** Milliseconds for which a slot is one's own after it was renewed, and for which it rests then: not less than another lease. */
  lease: number;
  rest: number;
}

/** Who writes itself down. */
export interface Writer {
  instance: string;
  addr: Endpoint;
}

/** What came of wanting a slot: one, or none yet, for so many milliseconds, or none at all. */
export type Taken = { claim: Claim } | { wait: number } | "full";

const EPOCH = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const OWNER = v.object({
  instance: v.string(),
  epoch: EPOCH,
  addr: v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => endpointOf(dataset.value) ?? (addIssue(), NEVER)),
  ),
});
const ENTRY = v.object({ ...OWNER.entries, freed: v.optional(v.boolean()), previous: v.optional(OWNER) });

/** What nodes have written down in Redis. All methods reject when Redis gives no answer, or not the one that was asked for. */
export class RedisStore {
  readonly #options: StoreOptions;
  readonly #connection: RedisConnection;
  #version: unknown;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#connection = new RedisConnection(options.url);
  }

  /** `had`: slots that it had before, the one it would like most first. `remembered`: last epochs, by slot. */
  async claim(writer: Writer, { had, remembered, chance }: {
    had: readonly Had[];
    remembered: ReadonlyMap<number, number>;
    chance: number;
  }): Promise<Taken> {
    const told = [JSON.stringify(had), JSON.stringify(Object.fromEntries(remembered)), chance];
    const answer = await this.#run(CLAIM, writer.instance, formatEndpoint(writer.addr), this.#options.slots, ...told);
    const [what, number, epoch] = v.parse(v.tuple([v.string(), v.optional(EPOCH, 0), v.optional(EPOCH, 0)]), answer);
    if (what === "slot") return { claim: { slot: number, epoch } };
    return what === "wait" ? { wait: number } : "full";
  }

  /** Gives who has the slot instead. `isLost`: it is known that another has it. */
  async renew(writer: Writer, { slot, epoch }: Claim, isLost: boolean): Promise<Had | undefined> {
    const answer = await this.#run(RENEW, writer.instance, formatEndpoint(writer.addr), slot, epoch, String(isLost));
    const [instance, other] = v.parse(v.tuple([v.optional(v.string()), v.optional(EPOCH, 0)]), answer);
    return instance === undefined ? undefined : { slot, instance, epoch: other! };
  }

  async release({ instance }: Writer, { slot, epoch }: Claim): Promise<void> {
    await this.#run(RELEASE, instance, slot, epoch);
  }

  /** All that is written down; `undefined` when nobody has come or gone since the last time. `isForced`: see nevertheless. */
  async look(isForced: boolean): Promise<Found[] | undefined> {
    const { prefix, slots } = this.#options;
    // First, so that what changes meanwhile is seen the next time.
    const version = await this.#connection.ask("GET", `${prefix}version`);
    if (version === this.#version && !isForced) return undefined;
    const keys = Array.from({ length: slots }, (_, slot) => `${prefix}slot:${slot}`);
    const texts = v.parse(v.array(v.nullable(v.string())), await this.#connection.ask("MGET", ...keys));
    this.#version = version;
    return texts.flatMap((text, slot) => text === null ? [] : readEntry(text, slot));
  }

  close(): void {
    this.#connection.close();
  }

  #run(script: string, ...args: (string | number)[]): Promise<unknown> {
    const { prefix } = this.#options;
    const lease = Math.ceil(this.#options.lease);
    const rest = Math.ceil(Math.max(this.#options.rest, lease));
    return this.#connection.ask("EVAL", script, 1, prefix, lease, rest, ...args);
  }
}

/** Who has the slot, and who had it before; nobody when it is not of ours, or given back. */
function readEntry(text: string, slot: number): Found[] {
  const entry = v.safeParse(v.pipe(v.string(), v.parseJson(), ENTRY), text);
  if (!entry.success) return [];
  const { freed, previous, ...owner } = entry.output;
  const all = [...(freed ? [] : [owner]), ...(previous ? [previous] : [])];
  return all.map(({ instance, epoch, addr }) => ({ slot, addr, epoch, instance }));
}

function endpointOf(text: string): Endpoint | undefined {
  try {
    const address = parseAddress(text);
    return address.kind === "tcp" ? { hostname: address.hostname, port: address.port } : undefined;
  } catch {
    return undefined;
  }
}
