/** How a session of version 2 ends: the codes of CLOSE, and of what is gone (protocol: Version 2: Ends). */
export const END = {
  done: 0,
  shutdown: 1,
  backend: 2,
  operator: 3,
  protocol: 4,
  limit: 5,
  away: 6,
  gaveUp: 7,
} as const;

const MEANINGS = [
  "the session has come to its end",
  "the proxy shuts down",
  "the backend broke off, or could not be had",
  "an operator ended it",
  "a violation of the protocol",
  "a limit",
  "the client was away, or silent, for too long",
  "the other end gave up",
];

/** What a code says, in words. */
export function meaningOf(code: number): string {
  return MEANINGS[code] ?? `a reason with the code ${code}`;
}
