import { timingSafeEqual } from "node:crypto";
import type { SocketName } from "../../link/engine/native_flow.ts";
import { type Link, readDecoded, writeAll } from "../../link/link.ts";
import { decodeRecord, encodeRecord } from "../../scp/mod.ts";
import type { Preface } from "../seams.ts";

/** What a peer is told of a connection: the preface, and which one it is of those that `by` hands over. */
export interface Letter extends Preface {
  by: number;
  /** From 1 to 2^31-1. */
  number: number;
  /** How it is offered: its descriptor, and how many bytes were read from it, which follow. Missing: it is carried, from here on. */
  offer?: { fd: number; read: number };
  /** Of one that is carried: the client's, to be asked what is on its way. */
  socket?: SocketName | undefined;
}

/** Writes a letter, and then the bytes that were read already, in one piece: a record, of the secret and then of JSON. */
export async function writeLetter(link: Link, letter: Letter, secret: string, first: Uint8Array): Promise<void> {
  const head = encodeRecord(secret + JSON.stringify(letter));
  const bytes = new Uint8Array(head.length + first.length);
  bytes.set(head);
  bytes.set(first, head.length);
  await writeAll(link, bytes);
}

/**
 * Reads the letter of a peer: it, and the bytes that came after it; of an offer all that were read of it, and no more. Throws an
 * `Error` for anything else.
 */
export async function readLetter(link: Link, secret: string): Promise<{ letter: Letter; rest: Uint8Array }> {
  const read = await readDecoded(link, decodeRecord);
  const [given, json] = [read?.value.content.slice(0, secret.length) ?? "", read?.value.content.slice(secret.length)];
  const isRight = given.length === secret.length && timingSafeEqual(bytesOf(given), bytesOf(secret));
  if (!read || !isRight) throw new Error("no peer of this process");
  const letter: Letter = JSON.parse(json!);
  return { letter, rest: letter.offer ? await readOn(link, read.rest, letter.offer.read) : read.rest };
}

async function readOn(link: Link, before: Uint8Array, size: number): Promise<Uint8Array> {
  const whole = await readDecoded(
    link,
    (bytes) => bytes.length < size ? undefined : { size, bytes: bytes.subarray(0, size) },
    { before, most: size },
  );
  if (!whole) throw new Error("the peer broke off");
  return whole.value.bytes;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
