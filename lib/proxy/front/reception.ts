import type { Config, Listen } from "../../config.ts";
import {
  type ClientLink,
  formatEndpoint,
  lingeringClose,
  readDecoded,
  readRecord,
  reasonOf,
  writeAll,
} from "../../link/link.ts";
import {
  answerRecord,
  type Code,
  type Dialect,
  encodeRecord,
  type NewRequest,
  parseRequest,
  type ResumeRequest,
  ScpError,
} from "../../scp/mod.ts";
import type { Admission } from "./admission.ts";
import type { CacheBudget } from "../session/cache_budget.ts";
import { Networks } from "./networks.ts";
import { decodeProxyHeader, LONGEST_HEADER } from "./proxy_header.ts";
import type { Preface, Seams } from "../seams.ts";
import { ownerBits, ownerOf } from "../session/session_ids.ts";
import type { Arrival, SessionTable } from "../session/session_table.ts";
import { countCode, type Refusal } from "../stats.ts";

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

/** What a connection begins with, before the record of the protocol. */
interface Preamble {
  dialect: Dialect;
  /** Bytes that came after it. */
  rest?: Uint8Array;
  /** Whether a peer hands it over, for a session of ours. */
  ofPeer: boolean;
}

/** Where connections are received: from accept to the end of the handshake, which is a session's, or a refusal. */
export class Reception {
  /** Whether no new session is begun: only clients that have one are let in. */
  draining = false;
  readonly #options: ReceptionOptions;
  /** Connections whose handshake is not over, with what settles when it is. */
  readonly #arriving = new Map<ClientLink, Promise<void>>();
  readonly #trusted = new WeakMap<Listen, Networks>();

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
    const isProxy = this.#trustedBy(listen).has(link.remote.hostname);
    const trusted = isProxy || !listen.acceptProxy;
    const refusal = trusted ? admission.refusesConnection(link.remote.hostname, isProxy) : "untrusted_proxy";
    if (refusal) {
      link.close();
      return this.#refused(link, refusal);
    }
    this.#arrive(link, listen.dialect, async () => {
      const rest = listen.acceptProxy ? await this.#readProxyHeader(link) : undefined;
      await link.ready?.();
      if (isProxy && admission.refusesAddress(link.remote.hostname)) throw this.#refusal("denied");
      return { dialect: listen.dialect, ...(rest && { rest }), ofPeer: false };
    });
  }

  #trustedBy(listen: Listen): Networks {
    const trusted = this.#trusted.get(listen) ?? new Networks(listen.trusted);
    this.#trusted.set(listen, trusted);
    return trusted;
  }

  /** Takes a connection that a peer hands over, and owns it. `read` gives what the peer says of it, and bytes that came then. */
  takeOver(link: ClientLink, read: () => Promise<{ preface: Preface; rest: Uint8Array }>): void {
    this.#arrive(link, "goscon", async () => {
      const { preface: { remote, local, dialect }, rest } = await read();
      Object.assign(link, { remote, local });
      return { dialect, rest, ofPeer: true };
    });
  }

  /** Closes every connection whose handshake is not over. */
  close(): void {
    for (const link of this.#arriving.keys()) link.close();
  }

  /** Settles when no handshake is under way. */
  async closed(): Promise<void> {
    while (this.#arriving.size > 0) await Promise.all(this.#arriving.values());
  }

  #arrive(link: ClientLink, dialect: Dialect, readPreamble: () => Promise<Preamble>): void {
    const { handshakes } = this.#options.seams.shared;
    handshakes.add(1);
    const done = this.#receive(link, dialect, readPreamble).finally(() => {
      handshakes.add(-1);
      this.#arriving.delete(link);
    });
    this.#arriving.set(link, done);
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

  /** Never rejects. `dialect`: of a refusal, as long as the preamble is not read. */
  async #receive(link: ClientLink, dialect: Dialect, readPreamble: () => Promise<Preamble>): Promise<void> {
    const { handshakeTimeout } = this.#options.config().scp;
    const started = performance.now();
    let late = false;
    const deadline = handshakeTimeout && setTimeout(() => {
      late = true;
      link.close();
    }, handshakeTimeout);
    try {
      const preamble = await readPreamble();
      dialect = preamble.dialect;
      const record = await readRecord(link, preamble.rest);
      if (!record) throw new Error("closed by the peer");
      const arrival = { link, dialect, request: parseRequest(record.content), rest: record.rest };
      await this.#admit(arrival, preamble.ofPeer, record.content);
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
    const read = await readDecoded(link, decodeProxyHeader, { most: LONGEST_HEADER });
    if (!read) throw new Error("closed by the peer");
    Object.assign(link, read.value.client);
    return read.rest;
  }

  async #admit(arrival: Arrival<NewRequest | ResumeRequest>, ofPeer: boolean, content: string): Promise<void> {
    if (isNew(arrival)) return await this.#open(arrival);
    const resume = arrival as Arrival<ResumeRequest>;
    const { admission, seams: { cluster } } = this.#options;
    const owner = ownerOf(resume.request.id, ownerBits(cluster.size));
    if (!ofPeer) {
      const refusal = await admission.refusesResume(arrival.link.remote.hostname);
      if (refusal) throw this.#refusal(refusal);
      if (owner !== cluster.index && owner < cluster.size) return await this.#handOver(resume, owner, content);
    }
    this.#resume(resume);
  }

  async #open(arrival: Arrival<NewRequest>): Promise<void> {
    const { admission, sessions, budget } = this.#options;
    if (this.draining) throw this.#refusal("draining");
    const begun = await admission.begin(arrival.link.remote.hostname, budget.spent);
    if (typeof begun === "string") throw this.#refusal(begun);
    sessions.open(arrival, begun.end);
  }

  #resume(arrival: Arrival<ResumeRequest>): void {
    const { seams: { stats }, admission, sessions } = this.#options;
    try {
      sessions.resume(arrival);
      countCode(stats.resumes, 200);
    } catch (error) {
      const code = error instanceof ScpError ? error.code : 501;
      countCode(stats.resumes, code);
      // Honest clients learn by a 404 that their session has ended, and a 403 or 406 takes the right key.
      const guessed = code === 401 || (code === 404 && !sessions.endedLately(arrival.request.id));
      if (guessed) admission.resumeFailed(arrival.link.remote.hostname);
      throw error;
    }
  }

  /** The session is a peer's: the peer goes on from the record. */
  async #handOver({ link, dialect, rest }: Arrival<ResumeRequest>, owner: number, content: string): Promise<void> {
    const record = encodeRecord(content);
    const first = new Uint8Array(record.length + rest.length);
    first.set(record);
    first.set(rest, record.length);
    const preface = { remote: link.remote, local: link.local, dialect };
    await this.#options.seams.cluster.carry(link, owner, preface, first);
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
    if (error instanceof Refused) await link.closeWrite().catch(() => {});
    else await lingeringClose(link);
  }
  link.close();
}
