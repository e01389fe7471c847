import { reasonOf } from "../../link/link.ts";
import { connect, type DenoConnectOptions, type ResumableConnection } from "../../client/mod.ts";

/** The streams of a terminal, or of a shell's pipe. */
export interface Terminal {
  input: ReadableStream<Uint8Array>;
  output: WritableStream<Uint8Array>;
  /** Shows a line to the person. */
  tell: (line: string) => void;
  /** Version 1: milliseconds without a byte from the backend, with a link, after the end of the input, until the session is ended. */
  linger: number;
}

/**
 * Joins a session with a terminal: what is typed goes to the backend, what the backend sends is shown, and each loss of the
 * link and each resume is told. Settles when the backend ends its direction, and the session with that. In version 2 the end of the
 * input is the end of this direction, which the backend is told of; in version 1, which cannot, it settles also when the input has
 * ended and the backend is quiet. Rejects when there is no session, or it is lost for good, or does not end in order.
 */
export async function terminal(url: string, options: DenoConnectOptions, terminal: Terminal): Promise<void> {
  const { input, output, tell } = terminal;
  let over = false;
  const connection = await connect(url, options);
  tell(`connected to ${url}: session ${connection.id}`);
  connection.on("lost", ({ detail }) => over || tell(`link lost (${detail.reason}); resuming`));
  connection.on("resumed", ({ detail: { gap, attempts, resent } }) => {
    tell(`link resumed after ${Math.round(gap)} ms, attempt ${attempts}; ${resent} bytes sent again`);
  });
  connection.on("closed", () => over = true);
  const quiet = connection.version === 1 ? new Quiet(connection, terminal.linger) : undefined;
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform: (bytes, controller) => {
      quiet?.heard();
      controller.enqueue(bytes);
    },
    flush: () => void (over = true),
  });
  let broken: Error | undefined;
  input.pipeTo(connection.writable, { preventClose: quiet !== undefined, preventAbort: true }).then(
    () => quiet?.begin(),
    (error) => {
      const writer = connection.writable.getWriter();
      // What the session does not take any more is nobody's fault.
      if (writer.desiredSize === null) return;
      broken = new Error(`input: ${reasonOf(error)}`);
      void writer.abort();
    },
  );
  try {
    await connection.readable.pipeThrough(watch).pipeTo(output, { preventClose: true });
  } catch (error) {
    // Also when nobody takes the output any more: the backend is told that.
    await connection.closed.catch(() => {});
    throw error;
  } finally {
    quiet?.stop();
  }
  await connection.closed;
  if (broken) throw broken;
}

/** Ends a session of version 1 once its input has ended and nothing was heard for some time. */
class Quiet {
  readonly #connection: ResumableConnection;
  readonly #linger: number;
  #isBegun = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: ResumableConnection, linger: number) {
    this.#connection = connection;
    this.#linger = linger;
    connection.on("lost", () => clearTimeout(this.#timer));
    connection.on("resumed", () => this.heard());
  }

  /** The input has ended. */
  begin(): void {
    this.#isBegun = true;
    this.heard();
  }

  /** The time begins anew. */
  heard(): void {
    clearTimeout(this.#timer);
    if (!this.#isBegun) return;
    // The proxy gets first what it still lacks.
    this.#timer = setTimeout(() => void this.#connection.writable.close().catch(() => {}), this.#linger);
  }

  stop(): void {
    this.#isBegun = false;
    clearTimeout(this.#timer);
  }
}
