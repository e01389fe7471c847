import { timingSafeEqual } from "node:crypto";
import { dial } from "../../link/dial.ts";
import { type ClientLink, type Endpoint, LINGER, type Link, readDecoded, reasonOf, writeAll } from "../../link/link.ts";
import { pump } from "../../link/relay.ts";
import { decodeRecord, type Dialect, encodeRecord, ScpError } from "../../scp/mod.ts";

/** Milliseconds to reach a peer in. */
const DIAL_TIMEOUT = 5000;

/** What a peer must know of a connection that it did not accept itself. */
export interface Preface {
  /** The client, and where it connected to. */
  remote: Endpoint;
  local: Endpoint;
  /** What the listener speaks. */
  dialect: Dialect;
}

/**
 * Connects to the `peer` that a client's session belongs to, and tells it who comes, before the bytes `first`, which were read
 * from the client already. The preface is a record, of the `secret` and then of JSON. The caller owns the link that is given.
 * Throws `ScpError` 501 when the peer cannot be reached: the client may try again.
 */
export async function connectToPeer(
  peer: Endpoint,
  { secret, preface, first }: { secret: string; preface: Preface; first: Uint8Array },
): Promise<Link> {
  try {
    const link = await dial({ kind: "tcp", ...peer }, { timeout: DIAL_TIMEOUT, keepAlive: false });
    const head = encodeRecord(secret + JSON.stringify(preface));
    const bytes = new Uint8Array(head.length + first.length);
    bytes.set(head);
    bytes.set(first, head.length);
    await writeAll(link, bytes);
    return link;
  } catch (error) {
    throw new ScpError(501, `the peer that has the session cannot be reached: ${reasonOf(error)}`);
  }
}

/**
 * Carries bytes between a `client` and the `owner` of its session until either closes, then closes both links; never rejects.
 *
 * What the owner closes is closed: the end of its stream means, here, that it takes nothing any more either, for it half-closes
 * only after the last byte of a session. The client then has `LINGER` to close too, and what it sends meanwhile is forgotten, for
 * a close with bytes unread would be a reset, which could overtake what the owner sent.
 */
export async function carry(client: Link, owner: Link): Promise<void> {
  const closeBoth = () => {
    client.close();
    owner.close();
  };
  let deadline: ReturnType<typeof setTimeout> | undefined;
  const toOwner = async (bytes: Uint8Array) => {
    try {
      if (deadline === undefined) await writeAll(owner, bytes);
    } catch (error) {
      if (deadline === undefined) throw error;
    }
  };
  const up = async () => {
    await pump(client, toOwner);
    if (deadline === undefined) await owner.closeWrite();
  };
  const down = async () => {
    await pump(owner, (bytes) => writeAll(client, bytes));
    deadline = setTimeout(closeBoth, LINGER);
    owner.close();
    await client.closeWrite();
  };
  await Promise.all([up().catch(closeBoth), down().catch(closeBoth)]);
  clearTimeout(deadline);
  closeBoth();
}

/** Reads the preface of a peer: it, and the bytes that came after it. Throws an `Error` for anything else. */
export async function readPreface(
  link: ClientLink,
  secret: string,
): Promise<{ preface: Preface; rest: Uint8Array }> {
  const read = await readDecoded(link, decodeRecord);
  const [given, json] = [read?.value.content.slice(0, secret.length) ?? "", read?.value.content.slice(secret.length)];
  const isRight = given.length === secret.length && timingSafeEqual(bytesOf(given), bytesOf(secret));
  if (!read || !isRight) throw new Error("no peer of this process");
  return { preface: JSON.parse(json!), rest: read.rest };
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
