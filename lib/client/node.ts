/**
 * The client, for Node: a duplex stream to a backend behind an SCP proxy, which outlives the connections that carry it.
 *
 * @module
 */
import { connect as open } from "node:net";
import type { Link } from "../link/link.ts";
import { StreamLink } from "../link/stream.ts";
import { type Dialer, dialFor, tcpTarget, webSocketDialers } from "./dialers.ts";
import { type ConnectOptions, ResumableConnection } from "./resumable_connection.ts";
import type { WebSocketConstructor } from "./web_socket_transport.ts";

export type { Resumption } from "./connection.ts";
export type { ConnectionEvents, ConnectOptions } from "./resumable_connection.ts";
export type { WebSocketConstructor, WebSocketLike } from "./web_socket_transport.ts";
export { ScpError } from "../scp/mod.ts";
export { ResumableConnection };

/** What `connect` takes in Node. */
export interface NodeConnectOptions extends ConnectOptions {
  /** For `ws://` and `wss://`, where Node has no `WebSocket`, as before 22: that of the package `ws`, for instance. */
  WebSocket?: WebSocketConstructor;
}

const tcp: Dialer = (url) => {
  const target = tcpTarget(url);
  return (signal) => dialTcp(target, signal);
};

/** Rejects with why it cannot be reached, or with the signal's reason. The caller owns the link. */
function dialTcp(target: { host: string; port: number }, signal: AbortSignal): Promise<Link> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = open({ ...target, noDelay: true, keepAlive: true });
    const giveUp = () => socket.destroy(signal.reason);
    signal.addEventListener("abort", giveUp);
    socket.once("error", reject);
    socket.once("close", () => reject(signal.reason));
    socket.once("connect", () => {
      signal.removeEventListener("abort", giveUp);
      resolve(new StreamLink(socket));
    });
  });
}

/**
 * Opens a session with the SCP proxy at `tcp://host:port`, `ws://…` or `wss://…`. Rejects with an `ScpError` when the
 * proxy refuses, with why it cannot be reached, or with the signal's reason.
 *
 * Over `ws` and `wss`, what is not read waits in memory, however much it is: a WebSocket cannot hold the proxy up, until
 * version 2 of the protocol bounds it.
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
  const dialers = { "tcp:": tcp, ...webSocketDialers(options.WebSocket) };
  return await ResumableConnection.open(dialFor(url, dialers), options);
}
