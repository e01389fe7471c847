/**
 * The client, for browsers: a duplex stream to a backend behind an SCP proxy, which outlives the connections that carry it.
 *
 * @module
 */
import { type Dialer, dialFor, webSocketDialers } from "./dialers.ts";
import { type ConnectOptions, ResumableConnection } from "./resumable_connection.ts";

export type { Resumption } from "./connection.ts";
export type { ConnectionEvents, ConnectOptions } from "./resumable_connection.ts";
export { ScpError } from "../scp/mod.ts";
export { ResumableConnection };

const tcp: Dialer = (url) => {
  throw new Error(`Cannot connect to ${url.href}: a browser has no TCP; expected ws:// or wss://`);
};

/**
 * Opens a session with the SCP proxy at `ws://…` or `wss://…`. Rejects with an `ScpError` when the proxy refuses, with
 * why it cannot be reached, or with the signal's reason.
 *
 * What the page does not read waits in its memory, however much it is: a WebSocket cannot hold the proxy up, until
 * version 2 of the protocol bounds it. So read on, or ask the backend for no more than is read. What is written waits.
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
  return await ResumableConnection.open(dialFor(url, { ...webSocketDialers(), "tcp:": tcp }), options);
}
