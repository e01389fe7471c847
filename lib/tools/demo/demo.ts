import { parseConfig } from "../../config.ts";
import { type Endpoint, formatEndpoint } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import type { Log } from "../../log.ts";
import { startProxy } from "../../proxy/proxy.ts";
import { systemSeams } from "../../proxy/system_seams.ts";
import client from "../../client/browser.min.js" with { type: "text" };
import { Counter } from "./counter.ts";
import { countOverTcp, countOverWebSocket, LOOPBACK } from "./count_servers.ts";
import { Line } from "./line.ts";
import page from "./page.html" with { type: "text" };

/** Milliseconds from a number to the next, and for which a cut lasts. */
const INTERVAL = 50;
const OUTAGE = 3000;

/** A page that shows a session survive, with all that it needs. */
export interface Demo {
  address: Endpoint;
  /** Settles when everything is closed. */
  stop(): Promise<void>;
}

/**
 * Serves, on `listen`, a page with a number that a backend counts, once by a session through a proxy and once by a plain
 * WebSocket, each over a line that a button cuts. Throws when an address cannot be had.
 */
export function startDemo({ listen, log }: { listen: Endpoint; log: Log }): Demo {
  const counter = new Counter(INTERVAL);
  const backend = countOverTcp(counter);
  const plain = countOverWebSocket(counter);
  const ws = `{ws: "${LOOPBACK}:0", path: /scp}`;
  const { config } = parseConfig(`{listen: [${ws}], hosts: [{addr: "${formatEndpoint(backend.address)}"}]}`, "demo");
  const proxy = startProxy(config, systemSeams(log));
  const lines = {
    resumable: new Line(listen.hostname, proxy.addresses[0]!),
    plain: new Line(listen.hostname, plain.address),
  };
  const { hostname, port } = listen;
  const server = orExplain(
    listen,
    () => Deno.serve({ hostname, port, onListen: () => {} }, (request) => answer(request, lines)),
  );
  const stop = async () => {
    counter.stop();
    await Promise.all([server.shutdown(), lines.resumable.close(), lines.plain.close(), proxy.stop()]);
    await Promise.all([backend.stop(), plain.stop()]);
  };
  return { address: { hostname, port: server.addr.port }, stop };
}

function answer({ method, url }: Request, { resumable, plain }: { resumable: Line; plain: Line }): Response {
  switch (`${method} ${new URL(url).pathname}`) {
    case "GET /":
      return textOf(page, "text/html");
    case "GET /goscon.js":
      return textOf(client, "text/javascript");
    case "GET /lines":
      return Response.json({ resumable: resumable.address.port, plain: plain.address.port });
    case "POST /cut":
      for (const line of [resumable, plain]) line.cut(OUTAGE);
      return Response.json({ outage: OUTAGE });
    default:
      return new Response("not found\n", { status: 404 });
  }
}

function textOf(text: string, type: string): Response {
  return new Response(text, { headers: { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" } });
}
