import { parseConfig } from "../../config.ts";
import { type Endpoint, formatEndpoint } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import type { Log } from "../../log.ts";
import { startProxy } from "../../proxy/proxy.ts";
import { systemSeams } from "../../proxy/system_seams.ts";
import client from "../../client/browser.min.js" with { type: "text" };
import version1 from "../../client/version1.min.js" with { type: "text" };
import { Counter } from "./counter.ts";
import { countOverTcp, countOverWebSocket, LOOPBACK } from "./count_servers.ts";
import { Line } from "./line.ts";
import page from "./page.html" with { type: "text" };

/** Milliseconds from a number to the next, and for which a cut lasts. */
const INTERVAL = 50;
const OUTAGE = 3000;
/** What the lines can be set to, in bytes a second. */
const SPEEDS: Record<string, number> = { full: Infinity, "32": 32 * 1024, "8": 8 * 1024, dead: 0 };
/**
 * What the proxy's system and the line's may hold of what a slow line has not carried: a cut loses all that, and the session
 * lives on when it can be sent again.
 */
const MOST_LOST = "16MiB";

/** A page that shows a session survive, with all that it needs. */
export interface Demo {
  address: Endpoint;
  /** Settles when everything is closed. */
  stop(): Promise<void>;
}

/**
 * Serves, on `listen`, a page with a number that a backend counts, once by a session through a proxy and once by a plain
 * WebSocket, each over a line that the page can cut, slow down, and make dead. Throws when an address cannot be had.
 */
export function startDemo({ listen, log }: { listen: Endpoint; log: Log }): Demo {
  const counter = new Counter(INTERVAL);
  const backend = countOverTcp(counter);
  const plain = countOverWebSocket(counter);
  const { config } = parseConfig(configFor(backend.address), "demo");
  const proxy = startProxy(config, systemSeams(log));
  const lines = {
    resumable: new Line(listen.hostname, proxy.addresses[0]!),
    plain: new Line(listen.hostname, plain.address),
  };
  const { hostname, port } = listen;
  const network = new Network(lines, counter);
  const server = orExplain(
    listen,
    () => Deno.serve({ hostname, port, onListen: () => {} }, (request) => answer(request, network)),
  );
  const stop = async () => {
    counter.stop();
    await Promise.all([server.shutdown(), lines.resumable.close(), lines.plain.close(), proxy.stop()]);
    await Promise.all([backend.stop(), plain.stop()]);
  };
  return { address: { hostname, port: server.addr.port }, stop };
}

/** At the end the lines are closed first, and the proxy has nobody to wait for. */
function configFor(backend: Endpoint): string {
  return `
    listen: [{ws: "${LOOPBACK}:0", path: /scp}]
    hosts: [{addr: "${formatEndpoint(backend)}"}]
    scp: {reuse_buffer: ${MOST_LOST}}
    shutdown_timeout: 10ms
  `;
}

/** Both lines, which are always set to the same, and what there is to arrive. */
class Network {
  readonly lines: { resumable: Line; plain: Line };
  readonly #counter: Counter;
  #speed = "full";

  constructor(lines: Network["lines"], counter: Counter) {
    this.lines = lines;
    this.#counter = counter;
  }

  cut(): void {
    for (const line of Object.values(this.lines)) line.cut(OUTAGE);
  }

  /** One of `SPEEDS`; `false`: there is none of that name. */
  setSpeed(name: string): boolean {
    const rate = Object.hasOwn(SPEEDS, name) ? SPEEDS[name] : undefined;
    if (rate === undefined) return false;
    this.#speed = name;
    for (const line of Object.values(this.lines)) line.rate = rate;
    return true;
  }

  /** The number that the backend has reached, the speed's name, and the bytes that each line has carried to pages. */
  get state(): { count: number; speed: string; resumable: number; plain: number } {
    const { resumable, plain } = this.lines;
    return { count: this.#counter.count, speed: this.#speed, resumable: resumable.carried, plain: plain.carried };
  }
}

function answer({ method, url }: Request, network: Network): Response {
  const { pathname, searchParams } = new URL(url);
  const { resumable, plain } = network.lines;
  switch (`${method} ${pathname}`) {
    case "GET /":
      return textOf(page, "text/html");
    case "GET /browser.min.js":
      return textOf(client, "text/javascript");
    case "GET /version1.min.js":
      return textOf(version1, "text/javascript");
    case "GET /lines":
      return Response.json({ resumable: resumable.address.port, plain: plain.address.port });
    case "GET /state":
      return Response.json(network.state);
    case "POST /cut":
      network.cut();
      return Response.json({ outage: OUTAGE });
    case "POST /speed":
      if (network.setSpeed(searchParams.get("name") ?? "")) return Response.json(network.state);
      return new Response("no such speed\n", { status: 400 });
    default:
      return new Response("not found\n", { status: 404 });
  }
}

function textOf(text: string, type: string): Response {
  return new Response(text, { headers: { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" } });
}
