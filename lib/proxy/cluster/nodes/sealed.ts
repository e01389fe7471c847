import { createHash, createHmac, timingSafeEqual } from "node:crypto";

// What peers say to each other in their handshake: a MAC in base64, which is empty where there are no secrets, a line feed, and JSON.
//
// A MAC is of a label, which tells hello and answer apart, and of the hashes of all that was said so far. A nonce of the other end is
// among that, so that what was recorded is worth nothing later, and nothing of it can be changed on its way. It authenticates what is
// said in the handshake; it hides nothing, and does not protect what follows.

/** 32 bytes in base64. */
export const BASE64_OF_32 = /^[A-Za-z0-9+/]{43}=$/;

export type Label = "hello" | "answer";

/** Says that `json`, which is ASCII, after what was said `before`, with a MAC if there is a secret. */
export function sealed(label: Label, before: string[], json: string, secret: string | undefined): string {
  return `${secret === undefined ? "" : macOf(label, [...before, json], secret)}\n${json}`;
}

/**
 * What was said so, and with which of the secrets, if there are any. `undefined`: with none of them; or with one, and there is none.
 */
export function unsealed(
  label: Label,
  before: string[],
  content: string,
  secrets: readonly string[],
): { json: string; secret: string | undefined } | undefined {
  const [mac, json] = [content.slice(0, Math.max(content.indexOf("\n"), 0)), jsonIn(content)];
  if (secrets.length === 0) return mac === "" ? { json, secret: undefined } : undefined;
  if (!BASE64_OF_32.test(mac)) return undefined;
  const isOf = (secret: string) => {
    const expected = macOf(label, [...before, json], secret);
    return timingSafeEqual(new TextEncoder().encode(expected), new TextEncoder().encode(mac));
  };
  const secret = secrets.find(isOf);
  return secret === undefined ? undefined : { json, secret };
}

/** What was said, by whomever. */
export function jsonIn(content: string): string {
  return content.slice(content.indexOf("\n") + 1);
}

function macOf(label: Label, said: readonly string[], secret: string): string {
  const mac = createHmac("sha256", secret).update(`goscon cluster ${label}\n`);
  for (const text of said) mac.update(createHash("sha256").update(text, "latin1").digest());
  return mac.digest("base64");
}
