import { faultOfMove, formatConfig, withoutSecrets } from "../../config.ts";
import type { Listening, ListenOptions } from "../../link/engine/engine.ts";
import { formatEndpoint } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import { countSessions, type DataPlane, NodeAway } from "../../proxy/data_plane.ts";
import { Networks } from "../../proxy/front/networks.ts";
import { refusalOf } from "./guard.ts";
import type { HttpRequest } from "./http_message.ts";
import { HttpServer } from "./http_server.ts";
import { METRICS_TYPE, metricsText } from "./metrics.ts";
import page from "./page.html" with { type: "text" };
import { whyNotReady } from "./readiness.ts";
import { sessionQueryOf } from "./session_query.ts";
import type { Reloader } from "../reload.ts";
import type { Upgrader } from "../upgrade/upgrader.ts";
import { sparingly } from "../../sparingly.ts";

/** Connections at once. */
const MOST_CONNECTIONS = 32;
/** Milliseconds that a client may take to send its request, and to receive the answer. */
const REQUEST_TIMEOUT = 5000;
const ANSWER_TIMEOUT = 30_000;
/** Milliseconds between two lines of the log about connections that are refused. */
const REFUSED_INTERVAL = 10_000;

/** The page brings all it needs, and may do nothing but ask the manager. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export interface ManagerOptions {
  dataPlane: DataPlane;
  reloader: Reloader;
  log: Log;
  /** Begins a drain, at whose end the process ends. */
  drain: () => void;
  /** Has another process take over, and tells what came of that. */
  upgrader: () => Pick<Upgrader, "upgrade" | "record" | "isReplaced">;
}

type Handler = (
  manager: ManagerOptions,
  request: { id: string; search: URLSearchParams; headers: Headers },
) => Promise<Response>;

/** Asked by whoever, without a token and under any name: they tell nothing but whether all is well. */
const PROBES = ["/healthz", "/readyz"];

/** Answered while another process is taking over; of all else the right answer is that of whoever has the sessions then. */
const AT_ONCE = [...PROBES, "/upgrade"];

/** What is answered, by method and path; `ID` is a number. */
const ROUTES: Record<string, Handler> = {
  "GET /": () => Promise.resolve(respond(page, "text/html; charset=utf-8", { "content-security-policy": PAGE_POLICY })),
  "GET /config": ({ reloader }) =>
    Promise.resolve(respond(formatConfig(withoutSecrets(reloader.config)), "text/vnd.yaml")),
  "GET /reload": async ({ reloader }) => {
    const result = await reloader.reload();
    const text = result.ok ? "succeed" : `failed: ${result.faults.join("\n")}`;
    return new Response(text, { status: result.ok ? 200 : 422 });
  },
  "POST /reload": async ({ reloader }) => {
    const result = await reloader.reload();
    return json(result, result.ok ? 200 : 422);
  },
  "GET /metrics": async ({ dataPlane, upgrader }) =>
    respond(await metricsText(await dataPlane.snapshot(), upgrader().record), METRICS_TYPE),
  "GET /healthz": ({ dataPlane: { hung } }) =>
    Promise.resolve(
      hung.length > 0
        ? new Response(`thread ${hung.join(", ")} does not answer\n`, { status: 503 })
        : new Response("ok\n"),
    ),
  "GET /readyz": async ({ dataPlane }) => {
    const reason = whyNotReady(await dataPlane.snapshot());
    return new Response(`${reason ?? "ok"}\n`, { status: reason ? 503 : 200 });
  },
  "GET /status": async ({ dataPlane, upgrader }) => {
    const snapshot = await dataPlane.snapshot();
    return json({ pairs: countSessions(snapshot.gauges), ...snapshot, upgrades: upgrader().record });
  },
  "GET /cluster": async ({ dataPlane }) => {
    const { cluster } = await dataPlane.snapshot();
    return cluster ? json(cluster) : json({ error: "this process is alone: its configuration has no cluster" }, 404);
  },
  "GET /sessions": async ({ dataPlane, reloader }, { search }) => {
    const query = sessionQueryOf(search, reloader.config.cluster?.slots);
    return typeof query === "string" ? json({ error: query }, 400) : json(await dataPlane.sessions(query));
  },
  "GET /sessions/ID": async ({ dataPlane }, { id }) => {
    const session = await dataPlane.session(Number(id));
    return session ? json(session) : noSession(id);
  },
  "DELETE /sessions/ID": async ({ dataPlane }, { id }) =>
    await dataPlane.endSession(Number(id)) ? json({ ended: Number(id) }) : noSession(id),
  "POST /sessions/ID/move": async ({ dataPlane }, { id, search, headers }) => {
    const url = search.get("url") ?? "";
    const fault = hasBody(headers) ? "a body is not read: the URL belongs in the query, ?url=" : faultOfUrl(url);
    if (fault) return json({ error: fault }, 400);
    const outcome = await dataPlane.moveSession(Number(id), url);
    if (outcome === "not there") return noSession(id);
    return outcome === "moved" ? json({ moved: Number(id), url }, 202) : json({ error: cannotMove(id, outcome) }, 409);
  },
  "POST /drain": async ({ dataPlane, drain }) => {
    drain();
    const { gauges } = await dataPlane.snapshot();
    return json({ draining: true, sessions: countSessions(gauges) }, 202);
  },
  "POST /upgrade": async ({ upgrader }) => {
    const result = await upgrader().upgrade();
    return json(result, result.ok ? 200 : result.refused ? 409 : 422);
  },
  "GET /upstreams": async ({ dataPlane }) => json((await dataPlane.snapshot()).upstreams),
};

/** How the manager listens, before anybody is accepted. */
export const MANAGER_LISTENING: ListenOptions = { backlog: 128, isShared: false, tcp: {} };

/** Serves the manager where that listens, which it owns. */
export function startManager(listening: Listening, options: ManagerOptions): HttpServer {
  const { log, reloader } = options;
  const server = new HttpServer(listening, {
    answer: (request) =>
      answer(request, options).catch((error) => {
        log.error("internal error", { reason: String(error), stack: error?.stack });
        return json({ error: "internal error" }, 500);
      }),
    allows: (address) => {
      const { managerAllow } = reloader.config;
      return managerAllow.length === 0 || new Networks(managerAllow).has(address);
    },
    most: MOST_CONNECTIONS,
    requestTimeout: REQUEST_TIMEOUT,
    answerTimeout: ANSWER_TIMEOUT,
    onRefused: sparingly(REFUSED_INTERVAL, (fields) => log.warning("manager connection refused", fields)),
    onFailure: (failure) => log.error("accept failed", { local: formatEndpoint(server.address), ...failure }),
  });
  return server;
}

async function answer({ method, url, headers }: HttpRequest, options: ManagerOptions): Promise<Response> {
  const { pathname, searchParams: search } = url;
  const refusal = PROBES.includes(pathname) ? undefined : refusalOf(headers, options.reloader.config.managerToken);
  if (refusal) return refusal;
  const [, id, below] = /^\/sessions\/(\d{1,10})(\/move)?$/.exec(pathname) ?? [];
  const path = id === undefined ? pathname : `/sessions/ID${below ?? ""}`;
  const handler = ROUTES[`${method === "HEAD" ? "GET" : method} ${path}`];
  if (handler) {
    const isReplaced = !AT_ONCE.includes(pathname) && await options.upgrader().isReplaced();
    if (isReplaced) return respond("", "text/plain", { location: `${pathname}${url.search}` }, 307);
    return await handler(options, { id: id ?? "", search, headers }).catch(orAway);
  }
  const allowed = Object.keys(ROUTES).filter((route) => route.endsWith(` ${path}`)).map((route) => route.split(" ")[0]);
  if (allowed.length === 0) return json({ error: `there is no ${pathname}` }, 404);
  return json({ error: `${method} is not for ${pathname}` }, 405, { allow: allowed.join(", ") });
}

/** Of `?url=`: an empty one is the address that the client uses. */
function faultOfUrl(url: string): string | undefined {
  const fault = url === "" ? undefined : faultOfMove(url);
  return fault && `url: ${fault}`;
}

function hasBody(headers: Headers): boolean {
  return headers.has("transfer-encoding") || Number(headers.get("content-length") ?? 0) > 0;
}

function cannotMove(id: string, outcome: "version 1" | "away"): string {
  return outcome === "away"
    ? `the client of session ${id} is away: there is nobody to tell`
    : `session ${id} is of version 1, which has no word for that`;
}

/** Another node has what is asked for, and does not answer. */
function orAway(error: unknown): Response {
  if (error instanceof NodeAway) return json({ error: error.message }, 502);
  throw error;
}

function noSession(id: string): Response {
  return json({ error: `there is no session ${id}` }, 404);
}

function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return respond(JSON.stringify(value) + "\n", "application/json", headers, status);
}

function respond(body: string, type: string, headers: Record<string, string> = {}, status = 200): Response {
  return new Response(body, {
    status,
    headers: { "content-type": type, "cache-control": "no-store", "x-content-type-options": "nosniff", ...headers },
  });
}
