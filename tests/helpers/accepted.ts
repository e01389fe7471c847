import assert from "node:assert/strict";
import type { AcceptedLink, Engine } from "../../lib/link/engine/engine.ts";
import { formatEndpoint } from "../../lib/link/link.ts";
import type { TcpLink } from "../../lib/link/tcp.ts";
import { tcp } from "./raw_client.ts";
import { turn } from "./turns.ts";

/** A connection that an engine has accepted, and the client's end of it. */
export async function accepted(engine: Engine): Promise<[client: TcpLink, near: AcceptedLink]> {
  const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 10, isShared: false, tcp: {} });
  const near = new Promise<AcceptedLink>((onConnection) => listening.accept({ onConnection, onFailure() {} }));
  const both = await Promise.all([tcp(formatEndpoint(listening.address)), near]);
  await listening.close();
  return both;
}

/** How many files and sockets a process has open: this one, unless told otherwise. */
export function descriptorsOf(pid: number | "self" = "self"): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** Waits until this process has so many: an engine may close one only when the system is done with all that was asked for it. */
export async function untilDescriptors(count: number, note = ""): Promise<void> {
  const isSo = () => descriptorsOf() === count;
  // Looking takes as long as many turns.
  for (let i = 0; i < 1000 && !isSo(); i++) for (let turns = 0; turns < 20; turns++) await turn();
  assert(isSo(), `${descriptorsOf()} descriptors, where ${count} were expected ${note}`);
}
