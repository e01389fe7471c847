import { timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { DIALECTS } from "../../../config.ts";
import type { SocketName } from "../../../link/engine/socket_flow.ts";
import { type Link, readDecoded, type Via, writeAll } from "../../../link/link.ts";
import { decodeRecord, encodeRecord, ScpError } from "../../../scp/mod.ts";
import { hasProof } from "../../../scp/v2/mod.ts";
import type { Preface } from "../../seams.ts";
import { ENDPOINT } from "../nodes/peers.ts";

/** What a peer is told of a connection: the preface, and which one it is of those that its thread `by` hands over. */
export interface Letter extends Preface {
  by: number;
  /** From 1 to 2^31-1. */
  number: number;
  /** How it is offered: its descriptor, and how many bytes were read from it, which follow. Missing: it is carried, from here on. */
  offer?: { fd: number; read: number };
  /** Of one that is carried inside a process: the client's, to be asked what is on its way. */
  socket?: SocketName | undefined;
  /** Of one that is carried: the most bytes that may be between the owner's socket and the client's. */
  between?: number;
  /** Of one that another process carries to this one. */
  of?: Via | undefined;
  /** Its client's address is not proven, and a session is to begin: when it is, `PROVEN` goes before all that the client sends. */
  awaitsProof?: boolean;
}

/** What the owner of a session says to the letter of one that is carried, before all else. */
export interface Receipt {
  /** The most bytes that may be on their way from the carrier to the client; missing: as many as the system takes. */
  bound?: number;
}

const whole = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(least), v.maxValue(most));
/** Of a client, whose port a proxy may not know. */
const endpoint = v.object({ ...ENDPOINT.entries, port: whole(0, 65535) });

/** What is taken of what another process says: what else that is, is of a newer version. */
const LETTER_OF_NODE = v.object({
  remote: endpoint,
  local: endpoint,
  dialect: v.picklist(DIALECTS),
  transport: v.picklist(["tcp", "tls", "ws", "wss", "kcp"]),
  isProven: v.optional(v.boolean(), true),
  awaitsProof: v.optional(v.boolean(), false),
  by: whole(0, 999),
  number: whole(1, 2 ** 31 - 1),
  between: v.optional(whole(0), 0),
});
const RECEIPT = v.object({ bound: v.exactOptional(whole(0)) });

/** What another process is told of a connection that it is to have carried to it. */
export type LetterOfNode = v.InferOutput<typeof LETTER_OF_NODE>;

/**
 * Writes a letter, and then the bytes that were read already, in one piece: a record, of the secret and then of JSON. The secret is
 * for threads: between processes the connection knows already whose it is, and it is empty.
 */
export async function writeLetter(link: Link, letter: Letter, secret: string, first: Uint8Array): Promise<void> {
  const head = encodeRecord(secret + JSON.stringify(letter));
  const bytes = new Uint8Array(head.length + first.length);
  bytes.set(head);
  bytes.set(first, head.length);
  await writeAll(link, bytes);
}

/**
 * Reads the letter of a thread: it, and the bytes that came after it; of an offer all that were read of it, and no more.
 * Throws an `Error` for anything else.
 */
export async function readLetter(link: Link, secret: string): Promise<{ letter: Letter; rest: Uint8Array }> {
  const read = await readDecoded(link, decodeRecord);
  const [given, json] = [read?.value.content.slice(0, secret.length) ?? "", read?.value.content.slice(secret.length)];
  const isRight = given.length === secret.length && timingSafeEqual(bytesOf(given), bytesOf(secret));
  if (!read || !isRight) throw new Error("no peer of this process");
  const letter: Letter = JSON.parse(json!);
  const { offer } = letter;
  if (!offer) return { letter, rest: read.rest };
  const whole = ({ length }: Uint8Array) => length < offer.read ? undefined : { size: offer.read };
  return { letter, rest: await readOn(link, read.rest, whole, offer.read) };
}

/**
 * Reads the letter of another process: it, and the bytes that came after it. `before`: bytes of it that were read already. `undefined`:
 * that has closed the connection, which it did not need. Throws `ScpError` 400 for anything else that it says.
 */
export async function readLetterOfNode(
  link: Link,
  before: Uint8Array,
): Promise<{ letter: LetterOfNode; rest: Uint8Array } | undefined> {
  const read = await readDecoded(link, decodeRecord, { before });
  if (!read) return undefined;
  return { letter: parsed(LETTER_OF_NODE, read.value.content, "letter"), rest: read.rest };
}

/** Says that what is carried is taken. */
export async function writeReceipt(link: Link, receipt: Receipt): Promise<void> {
  await writeAll(link, encodeRecord(JSON.stringify(receipt)));
}

/** Reads that, and the bytes that came after it. Throws an `Error` when the peer broke off, and `ScpError` 400 for anything else. */
export async function readReceipt(link: Link): Promise<{ receipt: Receipt; rest: Uint8Array }> {
  const read = await readDecoded(link, decodeRecord);
  if (!read) throw new Error("the peer broke off");
  return { receipt: parsed(RECEIPT, read.value.content, "receipt"), rest: read.rest };
}

/** Reads the record with which a connection begins: it, as it came, and what came after. Throws an `Error` when the peer broke off. */
export function readFirst(link: Link, before: Uint8Array): Promise<Uint8Array> {
  return readOn(link, before, decodeRecord);
}

/** What goes to the owner before all that a client sends, where the letter says that its proof is awaited: it has the answer. */
export const PROVEN: Uint8Array<ArrayBuffer> = Uint8Array.of(1);

/** Whether a connection that begins with these bytes, a record, asks for a new session. */
export function isNew(first: Uint8Array): boolean {
  return contentOf(first).startsWith("0\n");
}

/** Whether a connection that begins with these bytes, a record, is for a session that counts what arrives: of version 2. */
export function isAcked(first: Uint8Array): boolean {
  return hasProof(contentOf(first));
}

/** Of a record; of what is none, which whoever reads it says, nothing. */
function contentOf(first: Uint8Array): string {
  try {
    return decodeRecord(first)?.content ?? "";
  } catch {
    return "";
  }
}

/** Reads on until `decode` finds something, of at most `most` bytes: all that has come then. */
async function readOn(
  link: Link,
  before: Uint8Array,
  decode: (bytes: Uint8Array) => { size: number } | undefined,
  most?: number,
): Promise<Uint8Array> {
  let all = before;
  const read = await readDecoded(link, (bytes) => {
    all = bytes;
    return decode(bytes);
  }, { before, ...(most !== undefined && { most }) });
  if (!read) throw new Error("the peer broke off");
  return all;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function parsed<const T extends v.GenericSchema>(form: T, json: string, what: string): v.InferOutput<T> {
  const { success, issues, output } = v.safeParse(v.pipe(v.string(), v.parseJson(), form), json);
  if (success) return output;
  const [issue] = issues;
  throw new ScpError(400, `its ${what} is wrong: ${v.getDotPath(issue) ?? "all of it"}: ${issue.message}`);
}
