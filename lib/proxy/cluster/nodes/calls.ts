import { type Endpoint, formatEndpoint, reasonOf } from "../../../link/link.ts";
import { within } from "../../../within.ts";
import type { Connect, Conversation } from "./conversation.ts";

/** Milliseconds after which a connection that nothing is asked over is closed. */
const REST = 60_000;
/** Milliseconds that each of all nodes has for an answer. */
const ALL = 2000;

/** Whom to ask: that instance, or who has that slot in that epoch. */
export interface Called {
  addr: Endpoint;
  instance?: string;
  slot?: number;
  epoch?: number;
}

/** What all nodes have answered; of those that have not, why. */
export interface Answers<T extends Called> {
  answers: { from: T; value: unknown }[];
  missing: { from: T; reason: string }[];
}

interface Line {
  key: string;
  conversation: Promise<Conversation>;
  /** Questions that wait for their answers. */
  waiting: number;
  rest?: ReturnType<typeof setTimeout>;
}

/** Asks other nodes, each over a connection that is kept while it is used. */
export class Calls {
  readonly #connect: Connect;
  readonly #lines = new Map<string, Line>();
  #isClosed = false;

  constructor(connect: Connect) {
    this.#connect = connect;
  }

  /** Rejects when there is no answer after `timeout` milliseconds, or another one than who is meant is there. */
  async ask(whom: Called, method: string, args: unknown, timeout: number): Promise<unknown> {
    if (this.#isClosed) throw new Error("this node ends");
    const line = this.#lineTo(whom);
    line.waiting++;
    clearTimeout(line.rest);
    const start = performance.now();
    try {
      const conversation = await within(timeout, line.conversation);
      if (!conversation) throw new Error(`no connection within ${timeout} ms`);
      return await conversation.ask(method, args, Math.max(1, timeout - (performance.now() - start)));
    } finally {
      const isKept = this.#lines.get(line.key) === line;
      if (--line.waiting === 0 && isKept) line.rest = setTimeout(() => this.#drop(line), REST);
    }
  }

  /** Asks all of them at once. */
  async askAll<T extends Called>(all: readonly T[], method: string, args: unknown): Promise<Answers<T>> {
    const outcome: Answers<T> = { answers: [], missing: [] };
    await Promise.all(all.map(async (from) => {
      try {
        outcome.answers.push({ from, value: await this.ask(from, method, args, ALL) });
      } catch (error) {
        outcome.missing.push({ from, reason: reasonOf(error) });
      }
    }));
    return outcome;
  }

  /** What waits for an answer gets none. */
  close(): void {
    this.#isClosed = true;
    for (const line of this.#lines.values()) this.#drop(line);
  }

  #lineTo({ addr, instance, slot, epoch }: Called): Line {
    const key = [formatEndpoint(addr), instance, slot, epoch].join(" ");
    const before = this.#lines.get(key);
    if (before) return before;
    const to = { ...(slot !== undefined && { slot }), ...(epoch !== undefined && { epoch }) };
    const forget = () => this.#forget(line);
    const line: Line = { key, conversation: this.#open({ addr, to, instance }, forget), waiting: 0 };
    line.conversation.catch(forget);
    this.#lines.set(key, line);
    return line;
  }

  async #open(
    { addr, to, instance }: { addr: Endpoint; to: { slot?: number; epoch?: number }; instance: string | undefined },
    onLost: () => void,
  ): Promise<Conversation> {
    const conversation = await this.#connect(addr, "call", to);
    void conversation.lost.then(onLost);
    if (instance === undefined || conversation.peer.instance === instance) return conversation;
    conversation.close();
    throw new Error(`another instance, ${conversation.peer.instance}, is at ${formatEndpoint(addr)}`);
  }

  #drop(line: Line): void {
    this.#forget(line);
    line.conversation.then((conversation) => conversation.close(), () => {});
  }

  #forget(line: Line): void {
    clearTimeout(line.rest);
    if (this.#lines.get(line.key) === line) this.#lines.delete(line.key);
  }
}
