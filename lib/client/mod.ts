/**
 * The client, for Deno: a duplex stream to a backend behind an SCP proxy, which outlives the connections that carry it.
 *
 * @module
 */
import type { TlsOptions } from "../link/trust.ts";
import { Connection } from "./connection.ts";
import { HANDSHAKE_TIMEOUT } from "./connection_options.ts";
import { dialFor, webSocketDialers } from "./dialers.ts";
import { type KcpConnectOptions, kcpDialers } from "./kcp_dialers.ts";
import { type ConnectOptions, ResumableConnection } from "./resumable_connection.ts";
import { socketDialers } from "./socket_dialers.ts";

export type { Resumption } from "./connection.ts";
export type { ConnectionEvents, ConnectOptions } from "./resumable_connection.ts";
export { ScpError } from "../scp/mod.ts";
export { SessionEndedError } from "./session_ended_error.ts";
export type { KcpConnectOptions } from "./kcp_dialers.ts";
export type { TlsOptions } from "../link/trust.ts";
export { ResumableConnection };

/** What `connect` takes in Deno; what is of TLS holds for `tls://`, and `fec` for `kcp://`. */
export interface DenoConnectOptions extends ConnectOptions, TlsOptions, KcpConnectOptions {}

/**
 * Opens a session with the SCP proxy at `tcp://host:port`, `tls://host:port`, `ws://…`, `wss://…`, `kcp://host:port` or
 * `unix:/path`. Rejects with an `ScpError` when the proxy refuses, with why it cannot be reached or not be trusted, or with the
 * signal's reason.
 *
 * Over `tls` the server's certificate must be for the host, or the option `servername`, and be signed by whom the runtime
 * or the option `ca` trusts; so must that of each link that follows.
 *
 * Over `kcp` nobody is told that the other end has gone: it is asked when nothing comes, in version 2 as well, see `silence`; and in version
 * 1 the end of what the backend sends is not told. Of a name with several addresses each has its part of `handshakeTimeout` to answer.
 *
 * What is not read waits in memory: in version 2 of the protocol at most the option `window`; in version 1 nothing over TCP, and over a
 * WebSocket, which cannot be held up, however much it is.
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
export async function connect(url: string | URL, options: DenoConnectOptions = {}): Promise<ResumableConnection> {
  const { handshakeTimeout: timeout = HANDSHAKE_TIMEOUT, ca, servername, fec, silence } = options;
  const dialers = {
    ...socketDialers({ timeout, ca, servername }),
    ...webSocketDialers(),
    ...kcpDialers({ timeout, fec, silence }),
  };
  return await ResumableConnection.open(dialFor(url, dialers), options, Connection.open);
}
