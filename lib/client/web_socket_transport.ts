import { type Link, reasonOf } from "../link/link.ts";
import { messageOf, type WebSocketLike, WebSocketLink } from "./web_socket_link.ts";
import { type WebSocketStreamLike, WebSocketStreamLink } from "./web_socket_stream_link.ts";

/** What makes one; it is connecting then. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;
export type { WebSocketLike };
type WebSocketStreamConstructor = new (url: string, options: { signal: AbortSignal }) => WebSocketStreamLike;

/** The kinds of WebSocket that there are. */
export interface WebSockets {
  WebSocket?: WebSocketConstructor | undefined;
  WebSocketStream?: WebSocketStreamConstructor | undefined;
}

/**
 * Opens a WebSocket as a link, which the caller owns. A `WebSocketStream` is preferred where there is one: it alone can
 * hold the other end up. Rejects with why it cannot be opened, as far as that is told, or with the signal's reason.
 */
export async function dialWebSocket(
  url: string,
  signal: AbortSignal,
  { WebSocket, WebSocketStream }: WebSockets = globalThis as unknown as WebSockets,
): Promise<Link> {
  signal.throwIfAborted();
  if (WebSocketStream) return await openStream(url, new WebSocketStream(url, { signal }), signal);
  if (WebSocket) return await open(url, new WebSocket(url), signal);
  throw new Error(`Cannot connect to ${url}: this runtime has no WebSocket; give one as the option WebSocket`);
}

async function openStream(url: string, socket: WebSocketStreamLike, signal: AbortSignal): Promise<Link> {
  socket.closed.catch(() => {}); // `opened` tells
  try {
    return new WebSocketStreamLink(socket, await socket.opened);
  } catch (error) {
    throw signal.aborted ? signal.reason : new Error(`Cannot connect to ${url}: ${reasonOf(error)}`);
  }
}

function open(url: string, socket: WebSocketLike, signal: AbortSignal): Promise<Link> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      reject(signal.reason);
      socket.close();
    };
    signal.addEventListener("abort", giveUp);
    const settle = (then: () => void) => {
      signal.removeEventListener("abort", giveUp);
      then();
    };
    const fail = (reason: string) => settle(() => reject(new Error(`Cannot connect to ${url}: ${reason}`)));
    // A link from the start: no message can be missed.
    const link = new WebSocketLink(socket);
    socket.addEventListener("open", () => settle(() => resolve(link)));
    socket.addEventListener("error", (event) => fail(messageOf(event)));
    socket.addEventListener("close", () => fail("the WebSocket was closed"));
  });
}
