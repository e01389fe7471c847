import type { Link } from "../../link/link.ts";
import { parseResumeAnswer, type Session } from "../../scp/mod.ts";
import { Broken, type Probe, receive, send } from "./probe.ts";

/** A rule of the protocol, and how it is seen to hold against a server whose backend is an echo. */
export interface Rule {
  /** The section of lib/docs/protocol.md. */
  section: string;
  rule: string;
  /** It waits for seconds: so it is tried beside the others. */
  isSlow?: true;
  /** Throws when it does not hold. */
  check: (probe: Probe) => Promise<void>;
}

/** So many bytes of a stream, which are others for each `from`. */
export function bytes(count: number, from = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, (_, i) => (from + i * 7 + (i >> 8)) & 255);
}

export function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  const at = expected.findIndex((byte, i) => byte !== actual[i]);
  if (at >= 0) throw new Broken(`byte ${at} of the stream is ${actual[at]}, where ${expected[at]} was sent`);
}

/** Sends bytes of the stream, and expects them back; `rest` came already. */
export async function expectEcho(
  session: Session,
  link: Link,
  sent = bytes(100),
  rest?: Uint8Array,
): Promise<void> {
  await send(session, link, sent);
  expectSame(await receive(session, link, sent.length, rest), sent);
}

/** Expects that code in the answer to a resume request, or to what is refused. */
export function expectCode(answer: string, code: number): void {
  const got = parseResumeAnswer(answer);
  if (got.code !== code) throw new Broken(`the answer's code is ${got.code}, where ${code} was expected`);
  if (code !== 200 && got.received !== 0) {
    throw new Broken(`the answer's received is ${got.received}, where 0 was expected`);
  }
}

/** Expects that a record of that content is refused with that code. */
export async function expectRefusal(probe: Probe, content: string, code: number): Promise<void> {
  expectCode((await probe.ask(content)).answer, code);
}
