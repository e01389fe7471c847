/**
 * The client, for Deno: a duplex stream to a backend behind an SCP proxy, which outlives the connections that carry it.
 *
 * @module
 */
import { dial } from "../link/dial.ts";
import { KEEP_ALIVE } from "../link/engine/engine.ts";
import { type Dialer, dialFor, tcpTarget, webSocketDialers } from "./dialers.ts";
import { type ConnectOptions, ResumableConnection } from "./resumable_connection.ts";

export type { Resumption } from "./connection.ts";
export type { ConnectionEvents, ConnectOptions } from "./resumable_connection.ts";
export { ScpError } from "../scp/mod.ts";
export { ResumableConnection };

const DEFAULT_HANDSHAKE_TIMEOUT = 10_000;

/**
 * Opens a session with the SCP proxy at `tcp://host:port`, `ws://…`, `wss://…` or `unix:/path`. Rejects with an `ScpError`
 * when the proxy refuses, with why it cannot be reached, or with the signal's reason.
 *
 * Over `ws` and `wss`, what is not read waits in memory, however much it is: a WebSocket cannot hold the proxy up, until
 * version 2 of the protocol bounds it.
 *
 * ```ts
 * import { connect } from "./mod.ts";
 *
 * const connection = await connect("tcp://127.0.0.1:1248", { target: "echo" });
 * connection.on("lost", ({ detail }) => console.log("lost:", detail.reason));
 * const writer = connection.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * for await (const bytes of connection.readable) {
 *   console.log(new TextDecoder().decode(bytes));
 *   break; // which ends the session
 * }
 * ```
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<ResumableConnection> {
  const timeout = options.handshakeTimeout ?? DEFAULT_HANDSHAKE_TIMEOUT;
  const tcp: Dialer = (url) => {
    const { host: hostname, port } = tcpTarget(url);
    return (signal) => dial({ kind: "tcp", hostname, port }, { timeout, keepAlive: KEEP_ALIVE, signal });
  };
  const unix: Dialer = ({ pathname }) => (signal) =>
    dial({ kind: "unix", path: decodeURIComponent(pathname) }, { timeout, signal });
  const dialers = { "tcp:": tcp, "unix:": unix, ...webSocketDialers() };
  return await ResumableConnection.open(dialFor(url, dialers), options);
}
