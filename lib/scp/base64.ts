import { ScpError } from "./error.ts";

/** So many bytes from base64 in its one standard form. Throws `ScpError` 400; `what` they are, for its text. */
export function parseBase64(text: string | undefined, length: number, what: string): Uint8Array<ArrayBuffer> {
  const expected = `the ${what} is not the base64 of ${length} bytes`;
  if (!/^[A-Za-z0-9+/]+=?=?$/.test(text ?? "") || text!.length !== 4 * Math.ceil(length / 3)) {
    throw new ScpError(400, expected);
  }
  const bytes = Uint8Array.from(atob(text!), (c) => c.charCodeAt(0));
  if (bytes.length !== length || formatBase64(bytes) !== text) throw new ScpError(400, expected);
  return bytes;
}

export function formatBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
