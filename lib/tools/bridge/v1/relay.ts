import { LINGER, reasonOf, writeAll } from "../../../link/link.ts";
import { pump } from "../../../link/relay.ts";
import type { Relay, RelayOptions } from "../relay.ts";

/**
 * Over a session of version 1, which ends as a whole: the backend never learns that the local program has ended its direction, and so
 * that one waits for a time in which nothing comes.
 */
export class Version1Relay implements Relay {
  readonly #of: RelayOptions;
  /** The local program sends no more, and the session has all it sent. */
  #inputEnded = false;
  /** The local program takes no more. */
  #gone = false;
  /** The session's link is there. */
  #linked = true;
  /** The backend is waited for. */
  #listening = false;
  #finished = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RelayOptions) {
    this.#of = options;
  }

  async run(): Promise<void> {
    const { local, onEnded } = this.#of;
    const sent = this.#send();
    try {
      await pump({ read: (buffer) => this.#listen(buffer) }, (bytes) => this.#deliver(bytes));
      onEnded({ reason: this.#finished ? "the local program ended it" : "the backend ended it", isLoss: false });
    } catch (error) {
      onEnded({ reason: `lost for good: ${reasonOf(error)}`, isLoss: true });
      // Nobody knows what of the stream is missing: that must not look like its end.
      local.reset();
    }
    await this.#closeLocal(sent);
  }

  linked(isLinked: boolean): void {
    this.#linked = isLinked;
    this.#watch();
  }

  stop(): void {
    this.#of.connection.close();
    this.#of.local.reset();
  }

  /** Until the local program ends its direction. What it sends after the session has ended is forgotten. */
  async #send(): Promise<void> {
    const { local, connection, most } = this.#of;
    try {
      await pump(local, (bytes) => connection.write(bytes).catch(() => {}), most);
    } catch {
      this.#gone = true;
    }
    this.#inputEnded = true;
    this.#watch();
  }

  async #listen(buffer: Uint8Array): Promise<number | null> {
    this.#listening = true;
    this.#watch();
    try {
      return await this.#of.connection.read(buffer);
    } finally {
      this.#listening = false;
      this.#watch();
    }
  }

  /** What the backend sends to a local program that is gone is forgotten. */
  async #deliver(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.#of.local, bytes);
    } catch {
      this.#gone = true;
      this.#watch();
    }
  }

  /**
   * Ends the session once nobody is served by it any more: the local program has ended its direction, and is gone or the
   * backend is quiet. Time in which the backend could not be heard does not count. Ended it is by `closeWrite`, before
   * which the proxy gets all that it still lacks.
   */
  #watch(): void {
    clearTimeout(this.#timer);
    if (!this.#inputEnded || this.#finished) return;
    const finish = () => {
      this.#finished = true;
      void this.#of.connection.closeWrite();
    };
    if (this.#gone) finish();
    else if (this.#listening && this.#linked) this.#timer = setTimeout(finish, this.#of.linger);
  }

  /** The session is over. A local program that is there gets all that was delivered, and some time to end its direction. */
  async #closeLocal(sent: Promise<void>): Promise<void> {
    const { local } = this.#of;
    this.#finished = true;
    clearTimeout(this.#timer);
    if (!this.#gone) {
      const deadline = setTimeout(() => local.close(), LINGER);
      await local.closeWrite().catch(() => {}); // it is gone: its reader says so
      await sent;
      clearTimeout(deadline);
    }
    local.close();
    await sent;
  }
}
