import type { Config, Listen } from "../../config.ts";
import type { Fields } from "../../log.ts";
import { sparingly } from "../../sparingly.ts";
import {
  type ClientLink,
  formatEndpoint,
  lingeringClose,
  readDecoded,
  readRecord,
  reasonOf,
  type Transport,
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
import { hasProof, parseOffer } from "../../scp/v2/mod.ts";
import type { Admission } from "./admission.ts";
import type { CacheBudget } from "../session/cache/cache_budget.ts";
import { Networks } from "./networks.ts";
import { decodeProxyHeader, LONGEST_HEADER } from "./proxy_header.ts";
import { type Owner, ownerOf } from "../owner.ts";
import { type HandedOver, OwnerGone, type Seams } from "../seams.ts";
import { type KeyPair, ServerKeys } from "../session/v2/server_keys.ts";
import type { Arrival, Prepared } from "../session/session_factory.ts";
import type { SessionTable } from "../session/session_table.ts";
import { countCode, type Refusal } from "../stats.ts";

/** Milliseconds between two lines of the log of clients whose address anybody could have written. */
const STRANGERS = 10_000;

/** What is logged of connections that do not become a session's. */
type Outcome = "connection refused" | "handshake failed";

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

/** It came to nothing although its client has an answer that it would: there is no second one. */
class Answered extends Error {}

/** What a connection begins with, before the record of the protocol. */
interface Preamble {
  dialect: Dialect;
  transport: Transport;
  /** Bytes that came after it. */
  rest?: Uint8Array;
  /** Who hands it over; missing: it comes from its client. */
  from?: HandedOver["from"];
}

/** Where connections are received: from accept to the end of the handshake, which is a session's, or a refusal. */
export class Reception {
  /** Whether no new session is begun: only clients that have one are let in. */
  draining = false;
  readonly #options: ReceptionOptions;
  readonly #serverKeys: ServerKeys;
  /** Connections whose handshake is not over, with what settles when it is. */
  readonly #arriving = new Map<ClientLink, Promise<void>>();
  /** Those that were closed here before it was. */
  readonly #givenUp = new WeakSet<ClientLink>();
  readonly #trusted = new WeakMap<Listen, Networks>();
  readonly #logSparingly: (event: Outcome, fields: Fields) => void;

  constructor(options: ReceptionOptions) {
    this.#options = options;
    const { log } = options.seams;
    const tell = sparingly(STRANGERS, ({ event, ...fields }) => log.info(event as Outcome, fields));
    this.#logSparingly = (event, fields) => tell({ event, ...fields });
    this.#serverKeys = new ServerKeys((callback) => options.seams.engine.soon(callback));
  }

  /** How many connections have not come to the end of their handshake. */
  get handshakes(): number {
    return this.#arriving.size;
  }

  /** How many keys of new sessions of version 2 are being derived, or wait for that. */
  get keysWaiting(): number {
    return this.#serverKeys.waiting;
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
      return { dialect: listen.dialect, transport: transportOf(listen), ...(rest && { rest }) };
    });
  }

  #trustedBy(listen: Listen): Networks {
    const trusted = this.#trusted.get(listen) ?? new Networks(listen.trusted);
    this.#trusted.set(listen, trusted);
    return trusted;
  }

  /** Takes a connection that a peer hands over, and owns it. `read` gives what the peer says of it, and bytes that came then. */
  takeOver(link: ClientLink, read: () => Promise<HandedOver>): void {
    this.#arrive(link, "goscon", async () => {
      const { preface: { remote, local, isProven = true, ...how }, rest, from } = await read();
      Object.assign(link, { remote, local, isProven });
      return { ...how, rest, from };
    });
  }

  /** Closes every connection whose handshake is not over. */
  close(): void {
    for (const link of this.#arriving.keys()) this.#giveUp(link);
  }

  /** Settles when no handshake is under way. */
  async closed(): Promise<void> {
    while (this.#arriving.size > 0) await Promise.all(this.#arriving.values());
  }

  #giveUp(link: ClientLink): void {
    this.#givenUp.add(link);
    link.close();
  }

  /** A session that went over one that is closed would not be told of its loss. */
  #assertOpen(link: ClientLink): void {
    if (this.#givenUp.has(link)) throw new Error("closed before the handshake was over");
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
    this.#options.seams.stats.refused[refusal]++;
    this.#log("connection refused", link, refusal);
  }

  /** Never rejects. `dialect`: of a refusal, as long as the preamble is not read. */
  async #receive(link: ClientLink, dialect: Dialect, readPreamble: () => Promise<Preamble>): Promise<void> {
    const { handshakeTimeout } = this.#options.config().scp;
    const started = performance.now();
    let late = false;
    const deadline = handshakeTimeout && setTimeout(() => {
      late = true;
      this.#giveUp(link);
    }, handshakeTimeout);
    try {
      const preamble = await readPreamble();
      dialect = preamble.dialect;
      const record = await readRecord(link, preamble.rest);
      if (!record) throw new Error("closed by the peer");
      const { content, rest } = record;
      const arrival = { link, dialect, request: parseRequest(content), content, rest };
      await this.#admit(arrival, preamble);
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

  async #admit(arrival: Arrival<NewRequest | ResumeRequest>, preamble: Preamble): Promise<void> {
    if (isNew(arrival)) return await this.#place(arrival, preamble);
    const resume = arrival as Arrival<ResumeRequest>;
    if (hasProof(arrival.content)) arrival.link.stopPings?.();
    if (preamble.from === "thread") return await this.#resumeHere(resume);
    const { admission, seams: { cluster } } = this.#options;
    const refusal = await admission.refusesResume(arrival.link.remote.hostname);
    if (refusal) throw this.#refusal(refusal);
    this.#assertOpen(arrival.link);
    const owner = ownerOf(resume.request.id, cluster.layout);
    if (cluster.owns(owner)) return await this.#resumeHere(resume);
    await this.#handOver(resume, owner, preamble).catch((error) => this.#resumeFailed(resume, error));
  }

  /** The resume may have overtaken what shows that its client got the answer. */
  async #resumeHere(resume: Arrival<ResumeRequest>): Promise<void> {
    const begun = this.#options.sessions.awaited(resume.request.id);
    if (begun) {
      await begun;
      this.#assertOpen(resume.link);
    }
    this.#resume(resume);
  }

  /** Has the session begin with whoever is to begin it. */
  async #place(arrival: Arrival<NewRequest>, preamble: Preamble): Promise<void> {
    const { place, mayBegin } = this.#options.seams.cluster;
    const isLeaving = this.draining || mayBegin === false;
    const owners = preamble.from ? undefined : place?.(arrival.request.target, isLeaving);
    if (!owners) return await this.#open(arrival);
    if (owners.length === 0) throw this.#refusal("no_node");
    let reason: unknown;
    for (const owner of owners) {
      this.#assertOpen(arrival.link);
      try {
        return await this.#handOver(arrival, owner, preamble);
      } catch (error) {
        reason = error;
      }
    }
    throw reason;
  }

  async #open(arrival: Arrival<NewRequest>): Promise<void> {
    const { admission, sessions, budget, config, seams: { cluster } } = this.#options;
    const { link, content, request } = arrival;
    const offer = config().scp.version === 2 ? parseOffer(content, request.flag) : undefined;
    if (this.draining) throw this.#refusal("draining");
    if (cluster.mayBegin === false) throw this.#refusal("no_slot");
    const keys = offer && this.#serverKeys.for(offer.key);
    const prepare = () => sessions.prepare(arrival, keys && { offer, publicKey: keys.publicKey });
    if (!link.prove) return await this.#begin(arrival, keys, prepare);
    if (sessions.isMovingOut) throw new ScpError(501, "all sessions go to another process");
    const refusal = admission.refusesSession(budget.spent);
    if (refusal) throw this.#refusal(refusal);
    // No other limit means anything, and nothing is worth its cost, before it is known who that is.
    const proven = prepare();
    await sessions.await(proven, this.#beginWhenProven(arrival, keys, proven));
  }

  async #beginWhenProven(arrival: Arrival<NewRequest>, keys: KeyPair | undefined, proven: Prepared): Promise<void> {
    await arrival.link.prove!(proven.answer);
    await this.#begin(arrival, keys, () => proven, true).catch((error) => {
      throw new Answered(reasonOf(error));
    });
  }

  /** `isAnswered`: the client has the answer of what `prepare` gives. */
  async #begin(
    { link }: Arrival<NewRequest>,
    keys: KeyPair | undefined,
    prepare: () => Prepared,
    isAnswered = false,
  ): Promise<void> {
    const { admission, budget } = this.#options;
    const begun = await admission.begin(link.remote.hostname, budget.spent);
    if (typeof begun === "string") throw this.#refusal(begun);
    try {
      const secret = keys && await this.#derive(keys);
      this.#assertOpen(link);
      if (keys) link.stopPings?.();
      prepare().begin({ onEnded: begun.end, isAnswered, secret });
    } catch (error) {
      begun.end();
      throw error;
    }
  }

  async #derive(keys: KeyPair): Promise<Uint8Array> {
    const secret = await keys.derive();
    if (!secret) throw this.#refusal("key_derivations");
    this.#options.seams.stats.keyDerivations++;
    return secret;
  }

  #resume(arrival: Arrival<ResumeRequest>): void {
    const { seams: { stats }, sessions } = this.#options;
    try {
      countCode(stats.resumes, sessions.resume(arrival));
    } catch (error) {
      this.#resumeFailed(arrival, error);
    }
  }

  #resumeFailed({ link, request }: Arrival<ResumeRequest>, error: unknown): never {
    const { seams: { stats }, admission, sessions } = this.#options;
    const code = error instanceof ScpError ? error.code : 501;
    countCode(stats.resumes, code);
    // Honest clients learn by a 404 that their session has ended, and a 403 or 406 takes the right key.
    const isHonest = error instanceof OwnerGone || sessions.endedLately(request.id);
    // Whoever writes another's address is not to have that one kept out.
    const isKnown = link.isProven !== false;
    if (isKnown && (code === 401 || (code === 404 && !isHonest))) admission.resumeFailed(link.remote.hostname);
    throw error;
  }

  /** The session is another's, who goes on from the record. */
  async #handOver(
    { link, dialect, content, rest }: Arrival<NewRequest | ResumeRequest>,
    owner: Owner,
    { transport }: Preamble,
  ): Promise<void> {
    const record = encodeRecord(content);
    const first = new Uint8Array(record.length + rest.length);
    first.set(record);
    first.set(rest, record.length);
    const { remote, local, isProven = true } = link;
    const preface = { remote, local, dialect, transport, ...(!isProven && { isProven }) };
    await this.#options.seams.cluster.carry(link, owner, preface, first);
  }

  #refusal(refusal: Refusal): Refused {
    this.#options.seams.stats.refused[refusal]++;
    return new Refused(refusal);
  }

  #failed(link: ClientLink, error: unknown, reason: string): void {
    countCode(this.#options.seams.stats.handshakeErrors, error instanceof ScpError ? error.code : 501);
    this.#log("handshake failed", link, reason);
  }

  #log(event: Outcome, link: ClientLink, reason: string): void {
    const fields = { client: formatEndpoint(link.remote), local: formatEndpoint(link.local), reason };
    if (link.isProven === false) this.#logSparingly(event, fields);
    else this.#options.seams.log.info(event, fields);
  }
}

/** By what the connections of a listener come. */
function transportOf({ tls, webSocket, kcp }: Listen): Transport {
  if (kcp) return "kcp";
  if (webSocket) return tls ? "wss" : "ws";
  return tls ? "tls" : "tcp";
}

function isNew(arrival: Arrival<NewRequest | ResumeRequest>): arrival is Arrival<NewRequest> {
  return arrival.request.kind === "new";
}

/** Tells the peer that it is refused, where the protocol has a word for it, and closes. */
async function refuse(link: ClientLink, error: unknown, dialect: Dialect): Promise<void> {
  const code: Code | undefined = error instanceof ScpError ? error.code : undefined;
  if (code) {
    await writeAll(link, answerRecord({ received: 0, code }, dialect)).catch(() => {});
    // Who is refused for want of room is not to take more of it; nor is who says anything at all from an address that anybody could have
    // written: the answer goes with the ACK of what was said, so that, if it is lost, that comes again.
    const isStranger = code === 400 && link.isProven === false;
    if (isStranger || error instanceof Refused) await link.closeWrite().catch(() => {});
    else await lingeringClose(link);
  }
  link.close();
}
