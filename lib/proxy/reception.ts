import type { Config, Listen } from "../config.ts";
import {
  type ClientLink,
  formatEndpoint,
  lingeringClose,
  readDecoded,
  readRecord,
  reasonOf,
  writeAll,
} from "../link/link.ts";
import {
  answerRecord,
  type Code,
  type Dialect,
  type NewRequest,
  parseRequest,
  type ResumeRequest,
  ScpError,
} from "../scp/mod.ts";
import type { Admission } from "./admission.ts";
import type { CacheBudget } from "./cache_budget.ts";
import { Networks } from "./networks.ts";
import { decodeProxyHeader } from "./proxy_header.ts";
import type { Seams } from "./seams.ts";
import type { Arrival, SessionTable } from "./session_table.ts";
import { countCode, type Refusal } from "./stats.ts";

/** What a reception needs of the proxy it is in. */
export interface ReceptionOptions {
  seams: Seams;
  admission: Admission;
  sessions: SessionTable;
  budget: CacheBudget;
  /** The configuration in effect. */
  config: () => Config;
}

/** One that may not come in. */
class Refused extends ScpError {
  constructor(refusal: Refusal) {
    super(501, `refused: ${refusal}`);
  }
}

/** Where connections are received: from accept to the end of the handshake, which is a session's, or a refusal. */
export class Reception {
  /** Whether no new session is begun: only clients that have one are let in. */
  draining = false;
  readonly #options: ReceptionOptions;
  /** Connections whose handshake is not over, with what settles when it is. */
  readonly #arriving = new Map<ClientLink, Promise<void>>();

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  /** How many connections have not come to the end of their handshake. */
  get handshakes(): number {
    return this.#arriving.size;
  }

  /** Takes a connection of a listener, and owns it. */
  welcome(link: ClientLink, listen: Listen): void {
    const { seams: { stats }, admission } = this.#options;
    stats.accepts++;
    const trusted = !listen.acceptProxy || new Networks(listen.trusted).has(link.remote.hostname);
    const refusal = trusted
      ? admission.refusesConnection(link.remote.hostname, this, listen.acceptProxy)
      : "untrusted_proxy";
    if (refusal) {
      link.close();
      return this.#refused(link, refusal);
    }
    const done = this.#receive(link, listen).finally(() => this.#arriving.delete(link));
    this.#arriving.set(link, done);
  }

  /** Closes every connection whose handshake is not over. */
  close(): void {
    for (const link of this.#arriving.keys()) link.close();
  }

  /** Settles when no handshake is under way. */
  async closed(): Promise<void> {
    while (this.#arriving.size > 0) await Promise.all(this.#arriving.values());
  }

  #refused(link: ClientLink, refusal: Refusal): void {
    const { stats, log } = this.#options.seams;
    stats.refused[refusal]++;
    log.info("connection refused", {
      client: formatEndpoint(link.remote),
      local: formatEndpoint(link.local),
      reason: refusal,
    });
  }

  /** Never rejects. */
  async #receive(link: ClientLink, { dialect, acceptProxy }: Listen): Promise<void> {
    const { handshakeTimeout } = this.#options.config().scp;
    const started = performance.now();
    let late = false;
    const deadline = handshakeTimeout && setTimeout(() => {
      late = true;
      link.close();
    }, handshakeTimeout);
    try {
      const before = acceptProxy ? await this.#readProxyHeader(link) : undefined;
      const record = await readRecord(link, before);
      if (!record) throw new Error("closed by the peer");
      const arrival = { link, dialect, request: parseRequest(record.content), rest: record.rest };
      await this.#admit(arrival);
      this.#options.seams.stats.handshake.observe((performance.now() - started) / 1000);
    } catch (error) {
      const reason = late ? `handshake_timeout of ${handshakeTimeout} ms is over` : reasonOf(error);
      this.#failed(link, error, reason);
      await refuse(link, error, dialect);
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Puts the client's addresses in the place of the proxy's. Gives the bytes that came after the header. */
  async #readProxyHeader(link: ClientLink): Promise<Uint8Array> {
    const read = await readDecoded(link, decodeProxyHeader);
    if (!read) throw new Error("closed by the peer");
    Object.assign(link, read.value.client);
    if (this.#options.admission.refusesAddress(link.remote.hostname)) throw this.#refusal("denied");
    return read.rest;
  }

  async #admit(arrival: Arrival<NewRequest | ResumeRequest>): Promise<void> {
    if (isNew(arrival)) this.#open(arrival);
    else await this.#resume(arrival as Arrival<ResumeRequest>);
  }

  #open(arrival: Arrival<NewRequest>): void {
    const { admission, sessions, budget } = this.#options;
    const { hostname } = arrival.link.remote;
    const refusal = this.draining
      ? "draining"
      : admission.refusesSession(hostname, { sessions: sessions.size, cacheSpent: budget.spent });
    if (refusal) throw this.#refusal(refusal);
    sessions.open(arrival, admission.sessionBegun(hostname));
  }

  async #resume(arrival: Arrival<ResumeRequest>): Promise<void> {
    const { seams: { stats }, admission, sessions } = this.#options;
    const { hostname } = arrival.link.remote;
    const refusal = admission.refusesResume(hostname);
    if (refusal) throw this.#refusal(refusal);
    try {
      await sessions.resume(arrival);
      countCode(stats.resumes, 200);
    } catch (error) {
      const code = error instanceof ScpError ? error.code : 501;
      countCode(stats.resumes, code);
      admission.resumeFailed(hostname);
      throw error;
    }
  }

  #refusal(refusal: Refusal): Refused {
    this.#options.seams.stats.refused[refusal]++;
    return new Refused(refusal);
  }

  #failed(link: ClientLink, error: unknown, reason: string): void {
    const { stats, log } = this.#options.seams;
    countCode(stats.handshakeErrors, error instanceof ScpError ? error.code : 501);
    log.info("handshake failed", { client: formatEndpoint(link.remote), local: formatEndpoint(link.local), reason });
  }
}

function isNew(arrival: Arrival<NewRequest | ResumeRequest>): arrival is Arrival<NewRequest> {
  return arrival.request.kind === "new";
}

/** Tells the peer that it is refused, where the protocol has a word for it, and closes. */
async function refuse(link: ClientLink, error: unknown, dialect: Dialect): Promise<void> {
  const code: Code | undefined = error instanceof ScpError ? error.code : undefined;
  if (code) {
    await writeAll(link, answerRecord({ received: 0, code }, dialect)).catch(() => {});
    // Who is refused for want of room is not to take more of it.
    if (!(error instanceof Refused)) await lingeringClose(link);
  }
  link.close();
}
