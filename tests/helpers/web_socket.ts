// @ts-types="../../lib/link/ws.d.ts"
import { type ClientOptions, createWebSocketStream, WebSocket } from "ws";
import { once } from "node:events";
import type { Link } from "../../lib/link/link.ts";
import { StreamLink } from "../../lib/link/stream.ts";

export interface OpenOptions extends ClientOptions {
  path?: string;
  /** Terminated when the test ends. */
  sockets?: WebSocket[];
}

/** Opens a WebSocket to `host:port`, by a client that is not ours. Rejects when it is refused. */
export async function openWebSocket(address: string, options: OpenOptions = {}): Promise<WebSocket> {
  const { path = "/scp", ...rest } = options;
  const socket = new WebSocket(`${rest.ca ? "wss" : "ws"}://${address}${path}`, rest);
  await once(socket, "open");
  return socket;
}

/** How a request for a WebSocket is refused: the status of HTTP, and the text. */
export function refusalOf(address: string, options: OpenOptions = {}): Promise<{ status: number; body: string }> {
  const { path = "/scp", ...rest } = options;
  const socket = new WebSocket(`ws://${address}${path}`, rest);
  return new Promise((resolve, reject) => {
    socket.once("open", () => {
      socket.terminate();
      reject(new Error("it was not refused"));
    });
    socket.once("error", reject);
    socket.once("unexpected-response", async (_, response) => {
      const body = (await response.toArray()).join("");
      resolve({ status: response.statusCode!, body });
    });
  });
}

/** The client's end as a link. What is written goes in messages of no more than `longest` bytes, each of another length. */
export function linkOver(socket: WebSocket, { longest = 65536, next = Math.random as () => number } = {}): Link {
  const link = new StreamLink(createWebSocketStream(socket));
  return {
    read: (buffer) => link.read(buffer),
    write: (bytes) => link.write(bytes.slice(0, 1 + Math.floor(next() * longest))),
    closeWrite: async () => {
      // WebSockets know no half-close: it settles when the other end has answered, which the test may not wait for.
      link.closeWrite().catch(() => {});
      await Promise.resolve();
    },
    close: () => link.close(),
  };
}
