import type { AckedStream } from "../../link/acked_stream.ts";
import { requestResume, type ResumeRequestOptions } from "./resume_request.ts";

/** Milliseconds for having a link to say it over. */
export const GOODBYE = 5000;
const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/**
 * Ends a session that has no link: resumes once more, to say so. Without a word where that takes longer than `GOODBYE`. Never
 * rejects; settles when the link is closed too.
 */
export async function sayGoodbye(
  stream: AckedStream,
  code: number,
  options: Pick<ResumeRequestOptions, "key" | "dial">,
): Promise<void> {
  const { session } = stream;
  const { signal } = new AbortController();
  try {
    const answer = await requestResume({ ...options, session, signal, handshakeTimeout: GOODBYE });
    if (!answer.link) return stream.abort();
    stream.attach(answer.link.flow, { first: NOTHING, received: answer.received, rest: answer.rest });
    await new Promise<void>((resolve) => stream.close(code, "", resolve));
  } catch {
    stream.abort();
  }
}
