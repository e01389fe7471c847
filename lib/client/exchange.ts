import { type Link, readRecord, writeAll } from "../link/link.ts";
import { parseResumeAnswer, ScpError } from "../scp/mod.ts";
import type { ConnectionOptions } from "./connection_options.ts";

/**
 * Dials, sends a handshake's record and reads the one that answers. The caller owns the link. `record` is called once the link is
 * there; what it throws is thrown.
 */
export async function exchange(
  record: () => Uint8Array,
  { dial, handshakeTimeout = 10_000 }: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<{ link: Link; content: string; rest: Uint8Array }> {
  const abort = new AbortController();
  const giveUp = () => abort.abort();
  const deadline = setTimeout(giveUp, handshakeTimeout);
  signal?.addEventListener("abort", giveUp);
  if (signal?.aborted) giveUp();
  let link: Link | undefined;
  try {
    link = await dial(abort.signal);
    const opened = link;
    abort.signal.addEventListener("abort", () => opened.close());
    if (abort.signal.aborted) opened.close();
    await writeAll(opened, record());
    const answer = await readRecord(opened);
    if (!answer) throw new Error("the connection was closed in the handshake");
    return { link: opened, ...answer };
  } catch (error) {
    link?.close();
    if (signal?.aborted) throw signal.reason;
    throw abort.signal.aborted ? new Error(`the handshake took longer than ${handshakeTimeout} ms`) : error;
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", giveUp);
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
