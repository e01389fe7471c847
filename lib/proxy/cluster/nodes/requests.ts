import * as v from "valibot";
import { type Link, reasonOf, writeAll } from "../../../link/link.ts";
import { messageOf, MessageReader } from "./messages.ts";

// Over a connection of the kinds `watch` and `call` the node that dialled asks, and the other answers, in order, one at a time.

/** The most bytes of JSON that a request and an answer have. */
export const MOST_ASKED = 2 ** 20;
export const MOST_ANSWERED = 16 * 2 ** 20;

const request = v.object({ method: v.string(), args: v.exactOptional(v.unknown()) });
const answer = v.union([
  v.strictObject({ error: v.string() }),
  v.strictObject({ value: v.unknown() }),
]);

/** There is no answer, and there may be none: the connection is lost, or the time was over. Nobody knows whether the peer has heard. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /** `late`: the time was over. */
  readonly kind: "lost" | "late";

  constructor(reason: string, kind: "lost" | "late" = "lost") {
    super(reason);
    this.kind = kind;
  }
}

interface Asked {
  method: string;
  message: Uint8Array;
  timer: ReturnType<typeof setTimeout>;
  settle: PromiseWithResolvers<unknown>;
}

/** Asks a peer, over a link that it owns and reads all the time. */
export class Requests {
  /** Settles with why, when the connection is lost: by the other end, by `close`, or because the peer did not answer, or not sensibly. */
  readonly lost: Promise<string>;
  readonly #link: Link;
  readonly #tellLost: (reason: string) => void;
  /** The first was sent, or is being sent. */
  readonly #asked: Asked[] = [];
  #isWriting = false;
  #reason: string | undefined;

  /** `rest`: bytes that came before. */
  constructor(link: Link, rest: Uint8Array) {
    this.#link = link;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.lost = promise;
    this.#tellLost = resolve;
    void this.#hear(new MessageReader(link, rest, MOST_ANSWERED));
  }

  /**
   * What the peer answers, `null` for nothing; what was asked before comes first. Rejects with `NoAnswer` when there is none within so many milliseconds,
   * for which the connection is lost if it was asked already; and with an `Error` when the peer says why it cannot, or too much is asked.
   */
  async ask(method: string, args: unknown, timeout: number): Promise<unknown> {
    if (this.#reason !== undefined) throw new NoAnswer(this.#reason);
    const message = messageOf({ method, args }, MOST_ASKED);
    const settle = Promise.withResolvers<unknown>();
    const asked: Asked = { method, message, settle, timer: setTimeout(() => this.#late(asked, timeout), timeout) };
    if (this.#asked.push(asked) === 1) void this.#say();
    return await settle.promise;
  }

  /** Closes the connection. May be called again. */
  close(): void {
    this.#lose("it was closed here");
  }

  /** Sends the first request, unless one is still being sent, whose answer then came early. */
  async #say(): Promise<void> {
    const [asked] = this.#asked;
    if (!asked || this.#isWriting || this.#reason !== undefined) return;
    this.#isWriting = true;
    try {
      await writeAll(this.#link, asked.message);
    } catch (error) {
      return this.#lose(reasonOf(error));
    }
    this.#isWriting = false;
    if (this.#asked[0] !== asked) void this.#say();
  }

  async #hear(reader: MessageReader): Promise<void> {
    try {
      for (let read = await reader.next(); read; read = await reader.next()) {
        const said = v.safeParse(answer, read.value);
        const asked = this.#asked[0];
        if (!asked) throw new Error("an answer to nothing");
        if (!said.success) throw new Error(`an answer to ${asked.method} that is none`);
        this.#asked.shift();
        clearTimeout(asked.timer);
        if ("error" in said.output) asked.settle.reject(new Error(said.output.error));
        else asked.settle.resolve(said.output.value);
        void this.#say();
      }
      this.#lose("the peer closed the connection");
    } catch (error) {
      this.#lose(reasonOf(error));
    }
  }

  #late(asked: Asked, timeout: number): void {
    const reason = `no answer to ${asked.method} within ${timeout} ms`;
    if (this.#asked[0] === asked) return this.#lose(reason, "late");
    this.#asked.splice(this.#asked.indexOf(asked), 1);
    asked.settle.reject(new NoAnswer(reason, "late"));
  }

  #lose(reason: string, kind?: NoAnswer["kind"]): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#link.close();
    for (const { timer, settle } of this.#asked.splice(0)) {
      clearTimeout(timer);
      settle.reject(new NoAnswer(reason, kind));
    }
    this.#tellLost(reason);
  }
}

/**
 * Answers what a peer asks over a link, which it owns; `rest`: bytes that came before. What `answer` rejects with is told to the peer.
 * Settles when the peer has closed the link; rejects with why when it broke, or what came was no request. Then it is closed.
 */
export async function serveRequests(
  link: Link,
  rest: Uint8Array,
  answer: (method: string, args: unknown) => Promise<unknown>,
): Promise<void> {
  try {
    const reader = new MessageReader(link, rest, MOST_ASKED);
    for (let read = await reader.next(); read; read = await reader.next()) {
      const asked = v.safeParse(request, read.value);
      if (!asked.success) throw new Error("a request that is none");
      await writeAll(link, await answered(() => answer(asked.output.method, asked.output.args)));
    }
  } finally {
    link.close();
  }
}

async function answered(answer: () => Promise<unknown>): Promise<Uint8Array> {
  try {
    return messageOf({ value: await answer() ?? null }, MOST_ANSWERED);
  } catch (error) {
    return messageOf({ error: reasonOf(error) }, MOST_ANSWERED);
  }
}
