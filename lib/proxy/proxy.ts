import type { Config, Listen } from "../config.ts";
import {
  type ClientLink,
  type Endpoint,
  formatEndpoint,
  lingeringClose,
  readRecord,
  reasonOf,
  writeAll,
} from "../link/link.ts";
import type { Log } from "../log.ts";
import {
  accept,
  answerRecord,
  type Code,
  type Dialect,
  type NewRequest,
  parseRequest,
  type ResumeRequest,
  ScpError,
} from "../scp/mod.ts";
import { Listener } from "./listener.ts";
import { ProxySession } from "./session.ts";
import { SessionIds } from "./session_ids.ts";
import { Upstreams, type UpstreamSeams } from "./upstream.ts";

/** What a proxy needs of the world. */
export interface Seams extends UpstreamSeams {
  /** 64 bits from a cryptographic generator. */
  randomU64: () => bigint;
}

/** The world as it is. */
export function systemSeams(log: Log): Seams {
  return { log, random: Math.random, randomU64: () => crypto.getRandomValues(new BigUint64Array(1))[0]! };
}

/** A request, with the connection it came on. */
interface Arrival<Request> {
  link: ClientLink;
  dialect: Dialect;
  request: Request;
  /** Bytes of the stream that came with the request. */
  rest: Uint8Array;
}

/** A running proxy. */
export class Proxy {
  readonly #config: Config;
  readonly #seams: Seams;
  readonly #ids: SessionIds;
  readonly #upstreams: Upstreams;
  readonly #listeners: Listener[] = [];
  readonly #sessions = new Map<number, ProxySession>();
  /** Sessions that are not closed whole: an ended one is, when its backend is. */
  readonly #live = new Set<ProxySession>();
  /** Connections whose handshake is not over. */
  readonly #arriving = new Set<ClientLink>();
  /** What is still to settle before the proxy has stopped. */
  readonly #running = new Set<Promise<void>>();

  /** Use `startProxy`. */
  constructor(config: Config, seams: Seams) {
    this.#config = config;
    this.#seams = seams;
    this.#ids = new SessionIds(seams.randomU64());
    this.#upstreams = new Upstreams(config, seams);
    try {
      for (const listen of config.listen) this.#listeners.push(this.#listen(listen));
    } catch (error) {
      for (const listener of this.#listeners) void listener.close();
      throw error;
    }
    for (const listener of this.#listeners) listener.accept();
  }

  /** Where it listens, in the order of the configuration, with the ports that were had. */
  get addresses(): Endpoint[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** How many sessions there are. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /**
   * Stops listening, lets each client have what its backend sent, and settles when all is closed; what has not come to
   * its end within `shutdown_timeout` is cut.
   */
  async stop(): Promise<void> {
    const closed = this.#listeners.map((listener) => listener.close());
    for (const link of this.#arriving) link.close();
    for (const session of this.#sessions.values()) session.stop();
    const deadline = setTimeout(() => {
      for (const session of this.#live) session.abort("shutdown_timeout is over");
      for (const link of this.#arriving) link.close();
    }, this.#config.shutdownTimeout);
    await Promise.all(closed);
    while (this.#running.size > 0) await Promise.all(this.#running);
    clearTimeout(deadline);
  }

  #listen({ hostname, port, dialect }: Listen): Listener {
    return new Listener({ hostname, port }, {
      onConnection: (link) => this.#track(this.#welcome(link, dialect)),
      keepAlive: this.#config.tcpOption.keepalive,
      log: this.#seams.log,
    });
  }

  #track(task: Promise<void>): void {
    const tracked: Promise<void> = task.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  /** From accept to the end of the handshake: its answer, its refusal, or the time-out. Never rejects. */
  async #welcome(link: ClientLink, dialect: Dialect): Promise<void> {
    const { handshakeTimeout } = this.#config.scp;
    const fields = { client: formatEndpoint(link.remote), local: formatEndpoint(link.local) };
    const refused = (reason: string) => this.#seams.log.info("handshake failed", { ...fields, reason });
    let late = false;
    const deadline = handshakeTimeout && setTimeout(() => {
      late = true;
      link.close();
    }, handshakeTimeout);
    this.#arriving.add(link);
    try {
      const record = await readRecord(link);
      if (!record) throw new Error("closed by the peer");
      const request = parseRequest(record.content);
      if (request.kind === "new") this.#open({ link, dialect, request, rest: record.rest });
      else await this.#resume({ link, dialect, request, rest: record.rest });
    } catch (error) {
      refused(late ? `handshake_timeout of ${handshakeTimeout} ms is over` : reasonOf(error));
      await refuse(link, error, dialect);
    } finally {
      clearTimeout(deadline);
      this.#arriving.delete(link);
    }
  }

  #open({ link, dialect, request, rest }: Arrival<NewRequest>): void {
    const { reuseTime, reuseBuffer: cacheSize } = this.#config.scp;
    const id = this.#freshId();
    const privateKey = this.#seams.randomU64() || 1n;
    const { session, answer } = accept(request, { id, privateKey, dialect, cacheSize });
    const proxied = new ProxySession(session, link.remote, {
      log: this.#seams.log,
      reuseTime,
      cacheSize,
      connect: (backendRequest) => this.#upstreams.connect(backendRequest),
      onEnded: () => this.#sessions.delete(id),
    });
    // Before the answer is sent: the client may resume as soon as it knows the id.
    this.#sessions.set(id, proxied);
    this.#live.add(proxied);
    const run = proxied.run(link, { answer, rest, target: request.target, flag: request.flag });
    this.#track(run.finally(() => this.#live.delete(proxied)));
  }

  async #resume({ link, dialect, request, rest }: Arrival<ResumeRequest>): Promise<void> {
    const session = this.#sessions.get(request.id);
    if (!session) throw new ScpError(404, `no session ${request.id}`);
    const answer = (received: number) => answerRecord({ received, code: 200 }, dialect);
    await session.resume(link, { request, rest, answer });
  }

  #freshId(): number {
    for (;;) {
      const id = this.#ids.next();
      if (!this.#sessions.has(id)) return id;
    }
  }
}

/** Listens as `config` says and serves until `stop`. Throws, and has changed nothing, when an address cannot be had. */
export function startProxy(config: Config, seams: Seams): Proxy {
  return new Proxy(config, seams);
}

/** Tells the peer that it is refused, where the protocol has a word for it, and closes. */
async function refuse(link: ClientLink, error: unknown, dialect: Dialect): Promise<void> {
  const code: Code | undefined = error instanceof ScpError ? error.code : undefined;
  if (code) {
    await writeAll(link, answerRecord({ received: 0, code }, dialect)).catch(() => {});
    await lingeringClose(link);
  }
  link.close();
}
