import { FlowLink } from "../link/flow_link.ts";
import { messageOf, WebSocketFlow, type WebSocketLike } from "./web_socket_flow.ts";

/** What makes one; it is connecting then. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;
export type { WebSocketLike };

/**
 * Opens a WebSocket as a link, which the caller owns. Rejects with why it cannot be opened, as far as that is told, or with
 * the signal's reason. Never over a `WebSocketStream`, although it could hold the other end up: lost ones crash Chromium.
 */
export async function dialWebSocket(
  url: string,
  signal: AbortSignal,
  WebSocket: WebSocketConstructor | undefined = globalThis.WebSocket,
): Promise<FlowLink> {
  signal.throwIfAborted();
  if (WebSocket) return await open(url, new WebSocket(url), signal);
  throw new Error(`Cannot connect to ${url}: this runtime has no WebSocket; give one as the option WebSocket`);
}

function open(url: string, socket: WebSocketLike, signal: AbortSignal): Promise<FlowLink> {
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
    const link = new FlowLink(new WebSocketFlow(socket));
    socket.addEventListener("open", () => settle(() => resolve(link)));
    socket.addEventListener("error", (event) => fail(messageOf(event)));
    socket.addEventListener("close", () => fail("the WebSocket was closed"));
  });
}
