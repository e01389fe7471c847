import assert from "node:assert/strict";
import { Connection, type ConnectionOptions } from "../../lib/client/connection.ts";
import { SessionEndedError } from "../../lib/client/session_ended_error.ts";
import { reasonOf } from "../../lib/link/link.ts";
import type { AckedServer } from "./acked_server.ts";
import type { stillTime } from "./clock.ts";
import { tcp } from "./raw_client.ts";
import { turn } from "./turns.ts";

/** A connection of version 2, and what it told. */
export interface AckedClient extends AsyncDisposable {
  connection: Connection;
  /** `lost: why`, `resumed: attempts, bytes sent again`, `closed: code`, `closed: in order` or `closed: why`. */
  events: string[];
  /** What it was closed with. */
  closed: Promise<unknown>;
}

/** Opens a session with the server. Its pauses are the shortest; it is closed in the end. */
export async function openTo(server: AckedServer, options: Partial<ConnectionOptions> = {}): Promise<AckedClient> {
  const events: string[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<unknown>();
  const connection = await Connection.open({
    dial: () => tcp(server.address),
    dialect: server.options.dialect ?? "goscon",
    version: 2,
    random: () => 0,
    onLost: (reason) => events.push(`lost: ${reason}`),
    onResumed: ({ attempts, resent }) => events.push(`resumed: ${attempts}, ${resent}`),
    onClosed: (error) => {
      events.push(`closed: ${outcomeOf(error)}`);
      resolve(error);
    },
    ...options,
  });
  return {
    connection,
    events,
    closed,
    [Symbol.asyncDispose]: async () => {
      connection.close();
      await closed;
    },
  };
}

function outcomeOf(error: unknown): string {
  if (error === undefined) return "in order";
  return error instanceof SessionEndedError ? `${error.code}` : reasonOf(error);
}

/**
 * Lets time pass until it is so, slowly enough for what goes on beside it: what is done by other threads, or waits for the machine, has a
 * part of a real millisecond each time, so that no timeout of the client passes it by.
 */
export async function passUntil(clock: ReturnType<typeof stillTime>, condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    assert(i < 5000, "it does not come, however much time passes");
    clock.pass(25);
    const since = Date.now();
    for (let turns = 0; turns < 20 || Date.now() === since; turns++) await turn();
  }
}
