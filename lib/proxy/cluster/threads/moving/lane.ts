import { Descriptors } from "../../../../link/engine/passing/descriptors.ts";
import type { DescriptorSocket } from "../../../../link/engine/passing/descriptor_socket.ts";
import { BrokenParcel, Parcel } from "../../../../link/engine/passing/parcel.ts";
import type { PlainData } from "../../../../link/engine/passing/plain_data.ts";
import { Semaphore } from "../../../../semaphore.ts";
import type { Packed } from "../../../session/move/packed.ts";

/** What goes over a lane, with the descriptors of the session. `since`: when it began to stand still, by `System.now`. */
export interface OnLane {
  since: number;
  session: unknown;
}

/** What is said to each session, in their order: that it is not taken, or these two. */
export type LaneAnswer =
  /** It is this end's from now on, which has not touched it until then. */
  | { step: "taken" }
  /** Milliseconds that it stood still for. */
  | { step: "goes on"; stoodStill: number }
  | { step: "refused"; reason: string };

/** What came of a session: see `LaneAnswer`; or it was taken, and nobody has said that it goes on. */
export type Outcome = Exclude<LaneAnswer, { step: "taken" }> | { step: "lost" };

/** The way from a thread of this process to one of another, over which sessions go: as the one has it that they leave. */
export class Lane {
  readonly #parcel: Parcel;
  readonly #answers = new Semaphore(1);
  readonly #unanswered = new Set<Packed>();
  #hasEnded = false;

  /** Owns the socket. */
  constructor(socket: DescriptorSocket) {
    this.#parcel = new Parcel(socket);
  }

  /** Nothing may be given any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Gives a session to the other thread; those that are given at once go one behind another. One that is taken is closed here, others are
   * the caller's again. Rejects with `BrokenParcel`: then `end` tells of those of which nothing is known.
   */
  async pass(session: Packed, since: number): Promise<Outcome> {
    this.#unanswered.add(session);
    const sent = this.#parcel.send({ since, session: session.data as unknown as PlainData }, session.descriptors);
    sent.catch(() => {}); // those before have their answers first
    return await this.#answers.run(async () => {
      await sent;
      const answer = await this.#hear();
      this.#unanswered.delete(session);
      if (answer.step !== "taken") return answer;
      release(session);
      return await this.#hear().catch(() => ({ step: "lost" })) as Outcome;
    });
  }

  /**
   * Nothing more goes. Gives those that the other thread has not said it takes. `isGone`: its process is; then what it had said is heard
   * first, so that these are not its own. Else they may be: then they are closed here.
   */
  async end(isGone: boolean): Promise<Packed[]> {
    this.#hasEnded = true;
    if (isGone) await this.#answers.run(() => Promise.resolve());
    this.#parcel.close();
    const left = [...this.#unanswered];
    this.#unanswered.clear();
    if (isGone) return left;
    left.forEach(release);
    return [];
  }

  async #hear(): Promise<LaneAnswer> {
    using message = await this.#parcel.receive();
    if (message) return message.data as LaneAnswer;
    throw new BrokenParcel("the other thread takes nothing more");
  }
}

/** The other process has it. */
function release({ descriptors, done }: Packed): void {
  new Descriptors(descriptors)[Symbol.dispose]();
  done();
}
