import { type Endpoint, formatEndpoint } from "../../lib/link/link.ts";
import type { Conversation } from "../../lib/proxy/cluster/nodes/conversation.ts";
import { turn } from "./turns.ts";

type Answer = (method: string, args: unknown) => unknown;

/** There is no conversation, for that reason. */
export class NoConversation extends Error {
  constructor(readonly kind: string) {
    super(`no conversation: ${kind}`);
  }
}

/** What a question is rejected with when its conversation is lost for that reason. */
export function noAnswer(reason: string): Error {
  return Object.assign(new Error(reason), { kind: reason.startsWith("no answer") ? "late" : "lost" });
}

/** Peers that do as a test says, each at an address. Timeouts are by `setTimeout`, which the test has in its hands. */
export class ScriptedPeers {
  readonly #peers = new Map<string, { instance: string; answer: Answer } | { fault: string }>();
  readonly #open = new Set<{ key: string; lose: (reason: string) => void }>();
  /** `ADDRESS` of each attempt, and then `ADDRESS method` of each question. */
  readonly log: string[] = [];

  /** From now on that instance is at the address; an answer of `NEVER` never comes. */
  put(addr: Endpoint, instance: string, answer: Answer): void {
    this.#peers.set(formatEndpoint(addr), { instance, answer });
  }

  /** From now on nobody can be reached there, for that reason; `NEVER`: the attempt does not end. */
  remove(addr: Endpoint, fault: string): void {
    this.#peers.set(formatEndpoint(addr), { fault });
  }

  /** How many conversations are open. */
  get open(): number {
    return this.#open.size;
  }

  /** Breaks off all conversations with who is at the address. */
  async cut(addr: Endpoint): Promise<void> {
    for (const { key, lose } of [...this.#open]) if (key === formatEndpoint(addr)) lose("broken off");
    await turn();
  }

  readonly connect = async (addr: Endpoint): Promise<Conversation> => {
    const key = formatEndpoint(addr);
    this.log.push(key);
    const peer = this.#peers.get(key) ?? { fault: "refused" };
    await Promise.resolve();
    if ("fault" in peer) {
      return peer.fault === NEVER ? await new Promise(() => {}) : Promise.reject(new NoConversation(peer.fault));
    }
    return this.#conversation(key, peer);
  };

  #conversation(key: string, { instance, answer }: { instance: string; answer: Answer }): Conversation {
    const lost = Promise.withResolvers<string>();
    const entry = {
      key,
      lose: (reason: string) => {
        this.#open.delete(entry);
        lost.resolve(reason);
      },
    };
    this.#open.add(entry);
    return {
      peer: { instance },
      lost: lost.promise,
      ask: async (method, args, timeout) => {
        this.log.push(`${key} ${method}`);
        const value = await answer(method, args);
        if (value !== NEVER) return structuredClone(value);
        const late = setTimeout(() => entry.lose(`no answer within ${timeout} ms`), timeout);
        const reason = await lost.promise;
        clearTimeout(late);
        throw noAnswer(reason);
      },
      close: () => entry.lose("closed here"),
    };
  }
}

/** What never comes. */
export const NEVER = "never";
