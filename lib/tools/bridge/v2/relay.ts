import { reasonOf, writeAll } from "../../../link/link.ts";
import { pump } from "../../../link/relay.ts";
import { turn } from "../../../link/turn.ts";
import { END, meaningOf } from "../../../scp/v2/mod.ts";
import { SessionEndedError } from "../../../client/session_ended_error.ts";
import type { Ending, Relay, RelayOptions } from "../relay.ts";

/**
 * Over a session of version 2: each direction ends by itself, and each end and each break goes through (protocol: Version 2: Ends).
 * What waits is what the session's window and cache hold, and one read of each way.
 */
export class Version2Relay implements Relay {
  readonly #of: RelayOptions;
  /** The local program has ended its direction, and so has the session. */
  #inputEnded = false;
  /** The local program has broken off. */
  #isGone = false;

  constructor(options: RelayOptions) {
    this.#of = options;
  }

  async run(): Promise<void> {
    const { local, closed, onEnded } = this.#of;
    const sent = this.#send();
    const delivered = this.#deliver();
    const error = await closed;
    onEnded(this.#endingOf(error));
    // What came before a loss is the program's all the same, as fast as it takes it.
    await delivered;
    if (error === undefined && this.#inputEnded) local.close();
    else local.reset();
    await sent;
  }

  /** It looks after its link by itself. */
  linked(): void {}

  stop(): void {
    this.#of.connection.reset();
    this.#of.local.reset();
  }

  /** From the local program to the backend, and then its end. */
  async #send(): Promise<void> {
    const { local, connection, most } = this.#of;
    try {
      await pump({ read: (buffer) => this.#orGone(local.read(buffer)) }, (bytes) => connection.write(bytes), most);
      // A reset is told once: where a write has met it, this was no end.
      await turn();
      if (this.#isGone) return;
      this.#inputEnded = true;
      await connection.closeWrite();
    } catch {
      // One of the two is over: `closed` says how.
    }
  }

  /** From the backend to the local program, and then its end. */
  async #deliver(): Promise<void> {
    const { local, connection } = this.#of;
    try {
      await pump(connection, (bytes) => this.#orGone(writeAll(local, bytes)));
      await local.closeWrite();
    } catch {
      // As above; a program that is gone and takes no end may still be heard.
    }
  }

  /** What is done with the local connection. Where that fails it has broken off, and the backend is to see that. */
  async #orGone<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (error) {
      this.#isGone = true;
      this.stop();
      throw error;
    }
  }

  #endingOf(error: unknown): Ending {
    if (error !== undefined) {
      const isCoded = error instanceof SessionEndedError;
      return { ...(isCoded && { code: error.code }), reason: reasonOf(error), isLoss: true };
    }
    if (this.#isGone) return { code: END.gaveUp, reason: "the local program broke off", isLoss: false };
    return { code: END.done, reason: meaningOf(END.done), isLoss: false };
  }
}
