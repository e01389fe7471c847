import { reasonOf } from "../../link/link.ts";
import { connect, type ConnectOptions } from "../../client/mod.ts";

/** The streams of a terminal, or of a shell's pipe. */
export interface Terminal {
  input: ReadableStream<Uint8Array>;
  output: WritableStream<Uint8Array>;
  /** Shows a line to the person. */
  tell: (line: string) => void;
  /** Milliseconds without a byte from the backend, with a link, after the end of the input, until the session is ended. */
  linger: number;
}

/**
 * Joins a session with a terminal: what is typed goes to the backend, what the backend sends is shown, and each loss of the
 * link and each resume is told. Settles when the backend ends the session, or when the input has ended and the backend is
 * quiet. Rejects when there is no session, or it is lost for good.
 */
export async function terminal(
  url: string,
  options: ConnectOptions,
  { input, output, tell, linger }: Terminal,
): Promise<void> {
  let quiet: ReturnType<typeof setTimeout> | undefined;
  let [inputEnded, over] = [false, false];
  const connection = await connect(url, options);
  tell(`connected to ${url}: session ${connection.id}`);
  connection.on("lost", ({ detail }) => {
    clearTimeout(quiet);
    tell(`link lost (${detail.reason}); resuming`);
  });
  connection.on("resumed", ({ detail: { gap, attempts, resent } }) => {
    heard();
    tell(`link resumed after ${Math.round(gap)} ms, attempt ${attempts}; ${resent} bytes sent again`);
  });
  connection.on("closed", () => over = true);
  const heard = () => {
    clearTimeout(quiet);
    // The proxy gets first what it still lacks.
    if (inputEnded) quiet = setTimeout(() => void connection.writable.close().catch(() => {}), linger);
  };
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform: (bytes, controller) => {
      heard();
      controller.enqueue(bytes);
    },
  });
  const typed = input.pipeTo(connection.writable, { preventClose: true }).then(() => {
    inputEnded = true;
    heard();
  });
  typed.catch((error) => over || tell(`input: ${reasonOf(error)}`));
  await connection.readable.pipeThrough(watch).pipeTo(output, { preventClose: true });
  clearTimeout(quiet);
}
