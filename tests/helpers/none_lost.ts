import assert from "node:assert/strict";
import type { Event, Goscon } from "./goscon.ts";

/** How sessions of version 2 may end that came to their end, and that their client closed when it had all. */
const IN_ORDER = ["upstream closed", "closed by the client", "given up by the client"];

/**
 * Asserts of a proxy, which must have a manager: no resume was refused, but of sessions that had come to their end; and no session of
 * version 2, of which there was one, was lost.
 */
export async function assertNoneLost(goscon: Goscon): Promise<void> {
  const { text } = await goscon.manager("GET", "/metrics");
  const resumes = [...text.matchAll(/^goscon_resumes_total\{code="(\d+)"\} (\d+)$/gm)];
  assert(resumes.some(([, code, count]) => code === "200" && count !== "0"));
  const refused = resumes.filter(([, code, count]) => code !== "200" && code !== "410" && count !== "0");
  assert.deepEqual(refused.map(([line]) => line), []);
  const eventsOf = (message: string) => goscon.events.filter((event) => event.message === message);
  const ids = new Set(eventsOf("session new").filter(({ version }) => version === 2).map(({ id }) => id));
  assert(ids.size > 0);
  const isLost = ({ id, reason }: Event) => ids.has(id) && !IN_ORDER.includes(String(reason));
  assert.deepEqual(eventsOf("session ended").filter(isLost), []);
  assert.deepEqual(eventsOf("internal error"), []);
}
