import { acceptAll } from "../../link/accept.ts";
import { type Endpoint, type Link, writeAll } from "../../link/link.ts";
import { sleep } from "../../link/sleep.ts";
import { TcpLink } from "../../link/tcp.ts";
import type { Counter } from "./counter.ts";

/** Where the demo has what only it itself connects to. */
export const LOOPBACK = "127.0.0.1";

/** Bytes of each number's line: so many that a slow line is felt. */
const LINE_SIZE = 1024;
/** The most bytes that wait for a WebSocket, about, and milliseconds until it is looked at again. */
const MOST_WAITING = 2 ** 20;
const PAUSE = 50;

/** A server on a random port, each of whose connections is told the numbers from then on, a line of a KiB each. */
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
    for await (const number of counter.numbers()) await writeAll(link, new TextEncoder().encode(lineOf(number)));
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
    const closed = new AbortController();
    socket.onclose = () => closed.abort();
    socket.onopen = async () => {
      for await (const number of counter.numbers()) {
        while (socket.bufferedAmount > MOST_WAITING && !closed.signal.aborted) await sleep(PAUSE, closed.signal);
        if (socket.readyState !== WebSocket.OPEN) return;
        socket.send(lineOf(number));
      }
    };
    return response;
  });
  return { address: { hostname: LOOPBACK, port: server.addr.port }, stop: () => server.shutdown() };
}

/** The number, and blanks. */
function lineOf(number: number): string {
  return `${number}`.padEnd(LINE_SIZE - 1) + "\n";
}
