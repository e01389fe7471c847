import { type Endpoint, reasonOf } from "../../../../link/link.ts";
import { sleep } from "../../../../link/sleep.ts";
import { type Connect, type Conversation, kindOf } from "../conversation.ts";
import { readWatchAnswer, type WatchAnswer } from "./watch_answer.ts";

/** Milliseconds from an answer to the next question, and to the first answer that counts as none: three are missed then. */
export const INTERVAL = 1000;
const MISSED = 3 * INTERVAL;
/** The shortest and the longest pause before the next attempt, in milliseconds. */
const SHORTEST = 250;
const LONGEST = 5000;

export interface WatchOptions {
  addr: Endpoint;
  connect: Connect;
  /** What is said with each question to that instance. */
  args: (instance: string) => unknown;
  /** What it throws is a fault of the answer. */
  onAnswer: (answer: WatchAnswer) => void;
  /** It is this very process that is there. */
  onSelf: () => void;
  /** Called each time that an attempt has failed, and when who was there answers no more. */
  onLost: (state: "refused" | "away", reason: string) => void;
  /** A number of [0, 1). */
  random: () => number;
}

/** Knows who is at an address, by asking again and again, and dials anew whenever nobody answers. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();
  #pause = new AbortController();
  #conversation: Conversation | undefined;

  /** Begins at once. */
  constructor(options: WatchOptions) {
    this.#options = options;
    void this.#run();
  }

  /** Somebody else may be there: dials at once, if nobody answers now. */
  redial(): void {
    this.#pause.abort();
  }

  /** Says nothing more. */
  close(): void {
    this.#stop.abort();
    this.#pause.abort();
    this.#conversation?.close();
  }

  get #isOver(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#isOver) {
      this.#pause = new AbortController();
      const end = await this.#meet();
      if (end !== "failed") failures = 0;
      if (end === "broken" || this.#isOver) continue;
      await sleep(pauseAfter(failures++, this.#options.random), this.#pause.signal);
    }
  }

  /**
   * Goes on until nobody answers. `failed`: nobody did; `late`: an answer did not come. `broken`: the other end broke it off after it had
   * answered, of which nobody is told: another process may have taken over there, and whoever is there now is dialled at once.
   */
  async #meet(): Promise<"failed" | "late" | "broken"> {
    const { addr, connect, onLost, onSelf } = this.#options;
    let answers = 0;
    try {
      const conversation = await connect(addr, "watch", {});
      this.#conversation = conversation;
      if (!this.#isOver) await this.#follow(conversation, () => answers++);
    } catch (error) {
      const kind = kindOf(error);
      if (this.#isOver) return "failed";
      if (answers > 0 && kind !== "late") return "broken";
      if (kind === "self") onSelf();
      else onLost(kind === "refused" ? "refused" : "away", reasonOf(error));
    } finally {
      this.#conversation?.close();
      this.#conversation = undefined;
    }
    return answers > 0 ? "late" : "failed";
  }

  /** Rejects when it is lost. */
  async #follow(conversation: Conversation, tell: () => void): Promise<void> {
    const { addr, args, onAnswer } = this.#options;
    const { instance } = conversation.peer;
    const over = new AbortController();
    const lost = conversation.lost.then((reason) => {
      over.abort();
      throw new Error(reason);
    });
    lost.catch(() => {});
    while (!this.#isOver) {
      const value = await conversation.ask("watch", args(instance), MISSED);
      if (this.#isOver) return;
      const answer = readWatchAnswer(value, addr);
      if (answer.identity.instance !== instance) throw new Error("another one answers than the one that was dialled");
      onAnswer(answer);
      tell();
      await sleep(INTERVAL, over.signal);
      if (over.signal.aborted) await lost;
    }
  }
}

/** Milliseconds before the next attempt, after so many that failed in a row: by chance, so that not all come at once. */
function pauseAfter(failures: number, random: () => number): number {
  return Math.min(LONGEST, SHORTEST * 2 ** failures) * (1 + random()) / 2;
}
