import { encodeRecord } from "../record.ts";

/**
 * What keys of version 2 are made of, and what they authenticate (protocol: Version 2: Negotiation, Version 2: Resume). The
 * computations are those of the runtime: P-256, HKDF and HMAC, each with SHA-256.
 */

/** The `info` of HKDF. */
export const KEY_INFO = "SCP/2 resume";

/** What the salt of HKDF is the SHA-256 of: the records of the request and of its answer. */
export function saltInput(request: string, answer: string): Uint8Array<ArrayBuffer> {
  const [first, second] = [encodeRecord(request), encodeRecord(answer)];
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

/** Of a resume request. `received`: the absolute position. */
export function resumeProofText(id: number, index: number, received: number): string {
  return `resume\n${id}\n${index}\n${received}\n`;
}

/** Of the answer to one that is taken. */
export function resumedProofText(index: number, received: number): string {
  return `resumed\n${index}\n200\n${received}\n`;
}

/** Of the answer to one for a session that has ended. `end`: see `END`. */
export function goneProofText(index: number, end: number): string {
  return `gone\n${index}\n410\n${end}\n`;
}
