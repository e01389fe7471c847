/**
 * The client, for browsers: a duplex stream to a backend behind an SCP proxy, which outlives the connections that carry it.
 *
 * @module
 */
import { dialFor, webSocketDialers } from "./dialers.ts";
import { openConnection } from "./open_connection.ts";
import { type ConnectOptions, ResumableConnection } from "./resumable_connection.ts";

export type { Resumption } from "./connection.ts";
export type { ConnectionEvents, ConnectOptions } from "./resumable_connection.ts";
export { ScpError } from "../scp/error.ts";
export { SessionEndedError } from "./session_ended_error.ts";
export { ResumableConnection };

/** A file of its own, as most pages never load it. */
const version1 = async () => (await import("./v1/connection.ts")).Version1Connection;

/**
 * Opens a session with the SCP proxy at `ws://…` or `wss://…`. Rejects with an `ScpError` when the proxy refuses, with
 * why it cannot be reached, or with the signal's reason.
 *
 * What the page does not read waits in its memory: in version 2 of the protocol at most the option `window`. A server that speaks only
 * version 1 cannot be held up over a WebSocket: there read on, or ask the backend for no more than is read; and so on pages that are
 * neither https nor localhost, which cannot have version 2. What is written waits.
 *
 * ```ts
 * import { connect } from "./browser.ts";
 *
 * const connection = await connect("ws://127.0.0.1:1248/scp", { dialect: "plain" });
 * connection.addEventListener("lost", ({ detail }) => console.log("lost:", detail.reason));
 * const writer = connection.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * const { value } = await connection.readable.getReader().read();
 * console.log(new TextDecoder().decode(value));
 * connection.close();
 * ```
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<ResumableConnection> {
  const dialling = dialFor(url, webSocketDialers());
  return await ResumableConnection.open(dialling, options, (all) => openConnection(all, version1));
}
