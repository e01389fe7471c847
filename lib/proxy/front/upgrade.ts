import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
// @ts-types="../../link/ws.d.ts"
import { WebSocketServer } from "ws";
import type { WebSocketOptions } from "../../config.ts";
import type { Carrier } from "../../link/carrier.ts";
import { LONGEST_MESSAGE, WebSocketLink } from "../../link/web_socket.ts";
import { clientOf } from "./forwarded.ts";
import type { Networks } from "./networks.ts";

/** The most pieces, of the network or of the client's making, in which a message may come: each takes memory of its own. */
const MOST_PIECES = 4096;

/** A stream on which a request for a WebSocket is awaited. */
interface Pending {
  link: WebSocketLink;
  options: WebSocketOptions;
  trusted: Networks;
}

/** What does not become a WebSocket: the status of HTTP, and why. */
type Refusal = [status: number, reason: string];

/** Makes WebSockets of streams that speak HTTP. Whatever else a stream asks for is refused. */
export class Upgrade {
  // It listens nowhere: it is given its streams.
  readonly #http = createServer();
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LONGEST_MESSAGE,
    maxBufferedChunks: MOST_PIECES,
    maxFragments: MOST_PIECES,
    clientTracking: false,
  });
  readonly #pending = new WeakMap<Duplex, Pending>();

  constructor() {
    this.#http.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
    this.#http.on("request", (request) => {
      // Its body would hold the stream up.
      request.resume();
      this.#refuse(request.socket, [426, "no request for a WebSocket"]);
    });
    this.#sockets.on("wsClientError", (error, stream) => this.#refuse(stream, [400, error.message]));
    this.#http.on("clientError", (error, stream) => this.#refuse(stream, [400, `no HTTP: ${error.message}`]));
  }

  /** Gives the link that the carrier will be, which owns it. `trusted`: see `clientOf`; `onClose`: see `WebSocketLink`. */
  take(carrier: Carrier, options: WebSocketOptions, trusted: Networks, onClose: () => void): WebSocketLink {
    const link = new WebSocketLink(carrier, onClose);
    this.#pending.set(carrier.stream, { link, options, trusted });
    this.#http.emit("connection", carrier.stream);
    return link;
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Uint8Array): void {
    const pending = this.#pending.get(stream);
    // It was refused for what it asked before.
    if (!pending) return;
    const { link, options, trusted } = pending;
    const refusal = refusalOf(request, options);
    if (refusal) return this.#refuse(stream, refusal);
    link.remote = clientOf(request.headers, link.remote, trusted);
    this.#sockets.handleUpgrade(request, stream, head, (socket) => link.opened(socket, options.pingInterval));
  }

  /** Only once: what else it asks or sends is taken and forgotten, or the answer could be lost by a reset. */
  #refuse(stream: Duplex, [status, reason]: Refusal): void {
    const link = this.#pending.get(stream)?.link;
    if (!link) return;
    this.#pending.delete(stream);
    const body = `${reason}\n`;
    const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, "Connection: close", "Content-Type: text/plain"];
    if (status === 426) head.push("Upgrade: websocket");
    stream.end([...head, `Content-Length: ${Buffer.byteLength(body)}`, "", body].join("\r\n"));
    stream.removeAllListeners("data");
    // Not before the parser of HTTP, which may hold it up, has come to the end of what it has.
    setImmediate(() => stream.resume());
    link.fail(new Error(`refused as a WebSocket (${status}): ${reason}`));
  }
}

function refusalOf(
  { url, headers: { origin } }: IncomingMessage,
  { path, origins }: WebSocketOptions,
): Refusal | undefined {
  if (url?.split("?")[0] !== path) return [404, `the path is not ${path}`];
  // Only browsers say where a request comes from, and only there does it mean anything.
  const allowed = origin === undefined || origins.length === 0 || origins.includes(origin);
  return allowed ? undefined : [403, `the origin ${JSON.stringify(origin)} is not one of origins`];
}
