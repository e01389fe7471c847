import type { EndedSessions } from "../ended_sessions.ts";
import type { ProxySession, ProxySessionSnapshot } from "../session.ts";
import type { AckedProxySession, AckedProxySessionSnapshot } from "../v2/acked_proxy_session.ts";
import type { GoneSessions } from "../v2/gone_sessions.ts";
import { memoryOf, Told } from "./memory.ts";
import { FORMAT, type Moved, type MovedIds } from "./moved.ts";
import { type Packed, packed } from "./packed.ts";
import type { Parting } from "./parting.ts";

/**
 * Sessions at most that stand still together on their way to another table, and bytes that they have in hands: fewer would wait as long for
 * a turn of each thread, and more for one another.
 */
const MOST_TOGETHER = 4;
const MOST_BYTES_TOGETHER = 256 * 1024;

/** Why a session has ended that could not go where its client's socket has gone. */
const NOT_HEARD = "the socket of its client is another process's, where the session cannot go";

/** What a table has. */
export interface Having {
  sessions: ReadonlyMap<number, ProxySession | AckedProxySession>;
  ended: EndedSessions;
  gone: GoneSessions;
  now: () => number;
}

/** What a table gives to another one, which it does once: see `SessionTable.moveOut` and `moveLate`. */
export class Going {
  readonly #of: Having;
  /** The ids of sessions that went, or cannot. */
  readonly #given = new Set<number>();
  readonly #told = new Told();

  constructor(of: Having) {
    this.#of = of;
  }

  /** All there is, at most so many sessions at a time. */
  async *all(most = MOST_TOGETHER): AsyncGenerator<Packed[], void, void> {
    yield [about(idsOf(this.#of))];
    yield* this.#memories();
    yield* this.#sessions(most);
    yield [];
    yield* this.#sessions(most);
    yield [];
    yield* this.#memories();
  }

  /** What has come to be there since. */
  async *late(): AsyncGenerator<Packed[], void, void> {
    for (const session of this.#of.sessions.values()) if (session.sharesSocket) session.abort("shutdown", NOT_HEARD);
    yield* this.#sessions(MOST_TOGETHER);
    yield* this.#memories();
  }

  *#memories(): Generator<Packed[]> {
    for (const memory of memoryOf(this.#of, this.#told, this.#of.now())) yield [about(memory)];
  }

  /** Each once: one that is given back does not go again. */
  async *#sessions(most: number): AsyncGenerator<Packed[], void, void> {
    const { sessions } = this.#of;
    let [together, bytes]: [Promise<Packed>[], number] = [[], 0];
    for (const session of [...sessions.values()]) {
      if (sessions.get(session.id) !== session || this.#given.has(session.id)) continue;
      this.#given.add(session.id);
      const one = session.version === 1
        ? packedOf("session", session.leave())
        : packedOf("acked session", session.leave());
      if (!one) continue;
      together.push(one.packed);
      bytes += one.bytes;
      if (together.length < most && bytes < MOST_BYTES_TOGETHER) continue;
      yield await Promise.all(together);
      [together, bytes] = [[], 0];
    }
    if (together.length > 0) yield await Promise.all(together);
  }
}

/** The ids of all that goes. */
export function idsOf({ sessions, ended, gone }: Having): MovedIds {
  return { format: FORMAT, kind: "ids", ids: [...sessions.keys(), ...gone.ids(), ...ended.ids()] };
}

/** What is no session. */
function about(data: Moved): Packed {
  return { data, descriptors: [], done() {} };
}

/** `undefined`: it stays. `bytes`: that it has in hands. */
function packedOf<K extends string, S extends ProxySessionSnapshot | AckedProxySessionSnapshot>(
  kind: K,
  parting: Parting<S> | undefined,
) {
  return parting && { packed: packed(kind, parting), bytes: bytesIn(parting.snapshot) };
}

/** What may be much of it. */
function bytesIn({ session, toClient }: ProxySessionSnapshot | AckedProxySessionSnapshot): number {
  const { length } = toClient;
  if ("cache" in session) return length + session.cache.length;
  return length + session.outgoing.frames.length + session.incoming.waiting.length;
}
