import type { FlowingLink } from "../link/flow.ts";
import { writeAll } from "../link/link.ts";
import { ScpError } from "../scp/error.ts";
import { parseResumeAnswer } from "../scp/message.ts";
import { decodeRecord, MAX_RECORD } from "../scp/record.ts";
import { type FlowingOptions, HANDSHAKE_TIMEOUT } from "./connection_options.ts";

/** What came of a handshake: the link, the content of the record that answered, and bytes that came after it. */
export interface Exchanged {
  link: FlowingLink;
  content: string;
  rest: Uint8Array;
}

/**
 * Dials, sends a handshake's record and reads the one that answers. The caller owns the link. `record` is called once the link is
 * there; what it throws is thrown.
 */
export async function exchange(
  record: () => Uint8Array | Promise<Uint8Array>,
  { dial, handshakeTimeout = HANDSHAKE_TIMEOUT }: Pick<FlowingOptions, "dial" | "handshakeTimeout">,
  signal: AbortSignal | undefined,
): Promise<Exchanged> {
  const abort = new AbortController();
  const giveUp = () => abort.abort();
  const deadline = setTimeout(giveUp, handshakeTimeout);
  signal?.addEventListener("abort", giveUp);
  if (signal?.aborted) giveUp();
  let link: FlowingLink | undefined;
  try {
    link = await dial(abort.signal);
    const opened = link;
    abort.signal.addEventListener("abort", () => opened.close());
    if (abort.signal.aborted) opened.close();
    await writeAll(opened, await record());
    return { link: opened, ...await readAnswer(opened) };
  } catch (error) {
    link?.close();
    if (signal?.aborted) throw signal.reason;
    throw abort.signal.aborted ? new Error(`the handshake took longer than ${handshakeTimeout} ms`) : error;
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", giveUp);
  }
}

async function readAnswer(link: FlowingLink): Promise<Omit<Exchanged, "link">> {
  // A record that is longer is refused before that is full.
  const buffer = new Uint8Array(2 * MAX_RECORD);
  for (let filled = 0;;) {
    const n = await link.read(buffer.subarray(filled));
    if (n === null) throw new Error("the connection was closed in the handshake");
    filled += n;
    const record = decodeRecord(buffer.subarray(0, filled));
    if (record) return { content: record.content, rest: buffer.subarray(record.size, filled) };
  }
}

/** A proxy that refuses a new session answers in the form of a resume's answer. */
export function refusalIn(content: string): ScpError | undefined {
  try {
    return new ScpError(parseResumeAnswer(content).code, "the proxy refused a new session");
  } catch {
    return undefined;
  }
}

/** A private key: 64 bits from a cryptographic generator, not 0. */
export function randomKey(): bigint {
  const [key] = crypto.getRandomValues(new BigUint64Array(1));
  return key || 1n;
}
