/**
 * The client, for Node: a duplex stream to a backend behind an SCP proxy, which outlives the connections that carry it.
 *
 * @module
 */
import type { TlsOptions } from "../link/trust.ts";
import { Connection } from "./connection.ts";
import { HANDSHAKE_TIMEOUT } from "./connection_options.ts";
import { dialFor, webSocketDialers } from "./dialers.ts";
import { type KcpConnectOptions, kcpDialers } from "./kcp_dialers.ts";
import { nodeDialers } from "./node_dialers.ts";
import { type ConnectOptions, ResumableConnection } from "./resumable_connection.ts";
import type { WebSocketConstructor } from "./web_socket_transport.ts";

export type { Resumption } from "./connection.ts";
export type { ConnectionEvents, ConnectOptions } from "./resumable_connection.ts";
export type { WebSocketConstructor, WebSocketLike } from "./web_socket_transport.ts";
export { ScpError } from "../scp/mod.ts";
export { SessionEndedError } from "./session_ended_error.ts";
export type { KcpConnectOptions } from "./kcp_dialers.ts";
export type { TlsOptions } from "../link/trust.ts";
export { ResumableConnection };

/** What `connect` takes in Node; what is of TLS holds for `tls://`, and `fec` for `kcp://`. */
export interface NodeConnectOptions extends ConnectOptions, TlsOptions, KcpConnectOptions {
  /** For `ws://` and `wss://`, where Node has no `WebSocket`, as before 22: that of the package `ws`, for instance. */
  WebSocket?: WebSocketConstructor;
}

/**
 * Opens a session with the SCP proxy at `tcp://host:port`, `tls://host:port`, `ws://…`, `wss://…` or `kcp://host:port`.
 * Rejects with an `ScpError` when the proxy refuses, with why it cannot be reached or not be trusted, or with the signal's reason.
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
 * import { connect } from "./node.ts";
 *
 * const connection = await connect("tcp://127.0.0.1:1248", { target: "echo" });
 * connection.on("resumed", ({ detail }) => console.log("resumed after", detail.gap, "ms"));
 * const writer = connection.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * const { value } = await connection.readable.getReader().read();
 * console.log(new TextDecoder().decode(value));
 * connection.close();
 * ```
 */
export async function connect(url: string | URL, options: NodeConnectOptions = {}): Promise<ResumableConnection> {
  const { handshakeTimeout: timeout = HANDSHAKE_TIMEOUT, fec, silence } = options;
  const dialers = {
    ...nodeDialers(options),
    ...webSocketDialers(options.WebSocket),
    ...kcpDialers({ timeout, fec, silence }),
  };
  return await ResumableConnection.open(dialFor(url, dialers), options, Connection.open);
}
