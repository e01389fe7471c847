import type { Listen } from "../../config.ts";
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
import { hasProof } from "../../scp/v2/mod.ts";
import { Beginnings, type BeginningsOptions } from "./beginnings.ts";
import { Networks } from "./networks.ts";
import { decodeProxyHeader, LONGEST_HEADER } from "./proxy_header.ts";
import { type Owner, ownerOf } from "../owner.ts";
import { type HandedOver, OwnerGone } from "../seams.ts";
import type { Arrival } from "../session/session_factory.ts";
import { Refused, refused } from "./refused.ts";
import { countCode, type Refusal } from "../stats.ts";

/** Milliseconds between two lines of the log of clients whose address anybody could have written. */
const STRANGERS = 10_000;

/** What is logged of connections that do not become a session's. */
type Outcome = "connection refused" | "handshake failed";

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
  readonly #options: BeginningsOptions;
  readonly #beginnings: Beginnings;
  /** Connections whose handshake is not over, with what settles when it is. */
  readonly #arriving = new Map<ClientLink, Promise<void>>();
  /** Those that were closed here before it was. */
  readonly #givenUp = new WeakSet<ClientLink>();
  readonly #trusted = new WeakMap<Listen, Networks>();
  readonly #logSparingly: (event: Outcome, fields: Fields) => void;

  constructor(options: BeginningsOptions) {
    this.#options = options;
    const { log } = options.seams;
    const tell = sparingly(STRANGERS, ({ event, ...fields }) => log.info(event as Outcome, fields));
    this.#logSparingly = (event, fields) => tell({ event, ...fields });
    this.#beginnings = new Beginnings(options, (link) => this.#assertOpen(link));
  }

  /** How many connections have not come to the end of their handshake. */
  get handshakes(): number {
    return this.#arriving.size;
  }

  /** How many keys of new sessions of version 2 are being derived, or wait for that. */
  get keysWaiting(): number {
    return this.#beginnings.keysWaiting;
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
    if (!owners) {
      if (this.draining) throw this.#refusal("draining");
      return await this.#beginnings.begin(arrival);
    }
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
    return refused(this.#options.seams.stats, refusal);
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
