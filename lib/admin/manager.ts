import { type Config, formatConfig } from "../config.ts";
import { type Endpoint, formatEndpoint } from "../link/link.ts";
import type { Log } from "../log.ts";
import { countSessions, type DataPlane, type SessionQuery } from "../proxy/data_plane.ts";
import { Networks } from "../proxy/front/networks.ts";
import { SESSION_STATES, type SessionState } from "../proxy/session/session_record.ts";
import { refusalOf } from "./guard.ts";
import type { HttpRequest } from "./http_message.ts";
import { HttpServer } from "./http_server.ts";
import { METRICS_TYPE, metricsText } from "./metrics.ts";
import page from "./page.html" with { type: "text" };
import type { Reloader } from "./reload.ts";
import { sparingly } from "./sparingly.ts";

/** Sessions in an answer, when nothing else is asked for, and at the most. */
const DEFAULT_LIMIT = 100;
const MOST_LIMIT = 10_000;

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
}

type Handler = (manager: ManagerOptions, params: { id: string; search: URLSearchParams }) => Promise<Response>;

/** Asked by whoever, without a token and under any name: they tell nothing but whether all is well. */
const PROBES = ["/healthz", "/readyz"];

/** What is answered, by method and path; `ID` is a number. */
const ROUTES: Record<string, Handler> = {
  "GET /": () => Promise.resolve(respond(page, "text/html; charset=utf-8", { "content-security-policy": PAGE_POLICY })),
  "GET /config": ({ reloader }) =>
    Promise.resolve(respond(formatConfig(withoutToken(reloader.config)), "text/vnd.yaml")),
  "GET /reload": async ({ reloader }) => {
    const result = await reloader.reload();
    const text = result.ok ? "succeed" : `failed: ${result.faults.join("\n")}`;
    return new Response(text, { status: result.ok ? 200 : 422 });
  },
  "POST /reload": async ({ reloader }) => {
    const result = await reloader.reload();
    return json(result, result.ok ? 200 : 422);
  },
  "GET /metrics": async ({ dataPlane }) => respond(await metricsText(await dataPlane.snapshot()), METRICS_TYPE),
  "GET /healthz": ({ dataPlane: { hung } }) =>
    Promise.resolve(
      hung.length > 0
        ? new Response(`thread ${hung.join(", ")} does not answer\n`, { status: 503 })
        : new Response("ok\n"),
    ),
  "GET /readyz": async ({ dataPlane }) => {
    const { gauges, upstreams } = await dataPlane.snapshot();
    const reason = gauges.draining
      ? "draining"
      : upstreams.length > 0 && !upstreams.some(({ status }) => status === "up")
      ? "no upstream is up"
      : undefined;
    return new Response(`${reason ?? "ok"}\n`, { status: reason ? 503 : 200 });
  },
  "GET /status": async ({ dataPlane }) => {
    const snapshot = await dataPlane.snapshot();
    return json({ pairs: countSessions(snapshot.gauges), ...snapshot });
  },
  "GET /sessions": async ({ dataPlane }, { search }) => {
    const query = queryOf(search);
    return typeof query === "string" ? json({ error: query }, 400) : json(await dataPlane.sessions(query));
  },
  "GET /sessions/ID": async ({ dataPlane }, { id }) => {
    const session = await dataPlane.session(Number(id));
    return session ? json(session) : noSession(id);
  },
  "DELETE /sessions/ID": async ({ dataPlane }, { id }) =>
    await dataPlane.endSession(Number(id)) ? json({ ended: Number(id) }) : noSession(id),
  "POST /drain": async ({ dataPlane, drain }) => {
    drain();
    const { gauges } = await dataPlane.snapshot();
    return json({ draining: true, sessions: countSessions(gauges) }, 202);
  },
  "GET /upstreams": async ({ dataPlane }) => json((await dataPlane.snapshot()).upstreams),
};

/** Serves the manager on `manager` of the configuration. Throws when the address cannot be had. */
export function startManager(endpoint: Endpoint, options: ManagerOptions): HttpServer {
  const { log, reloader } = options;
  const server = new HttpServer(endpoint, {
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
  const [, id] = /^\/sessions\/(\d{1,10})$/.exec(pathname) ?? [];
  const path = id === undefined ? pathname : "/sessions/ID";
  const handler = ROUTES[`${method === "HEAD" ? "GET" : method} ${path}`];
  if (handler) return await handler(options, { id: id ?? "", search });
  const allowed = Object.keys(ROUTES).filter((route) => route.endsWith(` ${path}`)).map((route) => route.split(" ")[0]);
  if (allowed.length === 0) return json({ error: `there is no ${pathname}` }, 404);
  return json({ error: `${method} is not for ${pathname}` }, 405, { allow: allowed.join(", ") });
}

function queryOf(search: URLSearchParams): SessionQuery | string {
  const limit = Number(search.get("limit") ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 0 || limit > MOST_LIMIT) {
    return `limit: expected a whole number of 0 to ${MOST_LIMIT}`;
  }
  const state = search.get("state") ?? undefined;
  if (state !== undefined && !SESSION_STATES.some((known) => known === state)) {
    return `state: expected one of ${SESSION_STATES.join(", ")}`;
  }
  return { limit, filter: search.get("filter") ?? "", ...(state && { state: state as SessionState }) };
}

function withoutToken(config: Config): Config {
  return { ...config, managerToken: config.managerToken && "(hidden)" };
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
