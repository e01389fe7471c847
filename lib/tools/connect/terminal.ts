import { reasonOf } from "../../link/link.ts";
import { connect, type ConnectOptions } from "../../client/mod.ts";

/** Milliseconds without a byte from the backend, after the end of the input, until the session is closed. */
const QUIET = 1000;

/** The streams of a terminal, or of a shell's pipe. */
export interface Terminal {
  input: ReadableStream<Uint8Array>;
  output: WritableStream<Uint8Array>;
  /** Shows a line to the person. */
  tell: (line: string) => void;
}

/**
 * Joins a session with a terminal: what is typed goes to the backend, what the backend sends is shown, and each loss of the
 * link and each resume is told. Settles when the backend ends the session, or when the input has ended and the backend is
 * quiet. Rejects when there is no session, or it is lost for good.
 */
export async function terminal(
  url: string,
  options: ConnectOptions,
  { input, output, tell }: Terminal,
): Promise<void> {
  const connection = await connect(url, options);
  tell(`connected to ${url}: session ${connection.id}`);
  connection.on("lost", ({ detail }) => tell(`link lost (${detail.reason}); resuming`));
  connection.on("resumed", ({ detail: { gap, attempts, resent } }) => {
    tell(`link resumed after ${Math.round(gap)} ms, attempt ${attempts}; ${resent} bytes sent again`);
  });
  let quiet: ReturnType<typeof setTimeout> | undefined;
  let [inputEnded, over] = [false, false];
  connection.on("closed", () => over = true);
  const heard = () => {
    clearTimeout(quiet);
    if (inputEnded) quiet = setTimeout(() => connection.close(), QUIET);
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
