import { acceptAll } from "../../link/accept.ts";
import { type Endpoint, type Link, writeAll } from "../../link/link.ts";
import { TcpLink } from "../../link/tcp.ts";
import type { Counter } from "./counter.ts";

/** Where the demo has what only it itself connects to. */
export const LOOPBACK = "127.0.0.1";

/** A server on a random port, each of whose connections is told the numbers from then on, a line each. */
export interface CountServer {
  address: Endpoint;
  /** Listens no more, and closes its connections. */
  stop: () => Promise<void>;
}

/** What a session is told by. A connection that takes nothing for a while gets the numbers later: none is left out. */
export function countOverTcp(counter: Counter): CountServer {
  const listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
  const closing = new AbortController();
  const links = new Set<Link>();
  const serve = async (link: Link) => {
    for await (const number of counter.numbers()) await writeAll(link, new TextEncoder().encode(`${number}\n`));
  };
  const accepting = acceptAll(listener, {
    onConnection: (conn) => {
      const link = new TcpLink(conn, { keepAlive: false });
      links.add(link);
      serve(link).catch(() => links.delete(link)).finally(() => link.close());
    },
    onFailure: () => {},
    signal: closing.signal,
  });
  const stop = async () => {
    closing.abort();
    listener.close();
    for (const link of links) link.close();
    await accepting;
  };
  return { address: { hostname: LOOPBACK, port: listener.addr.port }, stop };
}

/** For contrast, what is told by plain WebSockets. */
export function countOverWebSocket(counter: Counter): CountServer {
  const server = Deno.serve({ hostname: LOOPBACK, port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = async () => {
      for await (const number of counter.numbers()) {
        if (socket.readyState !== WebSocket.OPEN) return;
        socket.send(`${number}\n`);
      }
    };
    return response;
  });
  return { address: { hostname: LOOPBACK, port: server.addr.port }, stop: () => server.shutdown() };
}
