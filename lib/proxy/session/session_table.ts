import type { Config } from "../../config.ts";
import { Condition } from "../../link/condition.ts";
import { type ClientLink, type Endpoint, lingeringClose, reasonOf, type Transport, writeAll } from "../../link/link.ts";
import { turn } from "../../link/turn.ts";
import {
  accept,
  answerRecord,
  type Dialect,
  encodeRecord,
  type NewRequest,
  type ResumeRequest,
  ScpError,
  Session,
} from "../../scp/mod.ts";
import { acceptOffer, AckedSession, type Offer, parseResumeProof } from "../../scp/v2/mod.ts";
import { EndedSessions } from "./ended_sessions.ts";
import { adopted, type Adopting } from "./move/adopted.ts";
import { IdsElsewhere } from "./move/ids_elsewhere.ts";
import { memoryOf, Told } from "./move/memory.ts";
import { FORMAT, type Moved, type MovedIds, readMoved } from "./move/moved.ts";
import { type Packed, packed } from "./move/packed.ts";
import type { Arrived, Parting } from "./move/parting.ts";
import { ShapeError } from "./move/shape.ts";
import type { InFlight } from "./in_flight.ts";
import type { CacheBudget } from "./cache_budget.ts";
import { type Owner, ownerOf } from "../owner.ts";
import type { Seams } from "../seams.ts";
import { ProxySession, type ProxySessionSnapshot, type SessionContext } from "./session.ts";
import { SessionIds } from "./session_ids.ts";
import type { SessionInfo, SessionState } from "./session_record.ts";
import type { BackendRequest } from "../upstream/reach.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import {
  AckedProxySession,
  type AckedProxySessionSnapshot,
  type AckedSessionContext,
} from "./v2/acked_proxy_session.ts";
import { GoneSessions } from "./v2/gone_sessions.ts";
import { ResumeKey } from "./v2/resume_key.ts";
import type { KeyPair } from "./v2/server_keys.ts";

const NOTHING = new Uint8Array(0);

/** How many of the sessions of version 1 that have ended are remembered; and at least of version 2. */
const MOST_REMEMBERED = 10_000;

/** The part of all ids that may be taken. */
const MOST_IDS = 0.9;

/**
 * Sessions at most that stand still together on their way to another table, and bytes that they have in hands: on that way each meets
 * several threads, whose turns are for all of them at once.
 */
const MOST_TOGETHER = 16;
const MOST_BYTES_TOGETHER = 1024 * 1024;
/** Of those that stand still in any case. */
const MOST_STANDING = 64;

/** Why a session has ended that could not go where its client's socket has gone. */
const NOT_HEARD = "the socket of its client is another process's, where the session cannot go";

/** Sessions that are looked at in one turn. */
const LOOKS = 200;

/** A request, with the connection it came on. */
export interface Arrival<Request> {
  link: ClientLink;
  dialect: Dialect;
  request: Request;
  /** The content of the record of the request. */
  content: string;
  /** Bytes that came with the request. */
  rest: Uint8Array;
}

/** An offer of version 2 that is taken, and this end's key for it. */
export interface TakenOffer extends Pick<KeyPair, "publicKey"> {
  offer: Offer;
}

/** A session that is not begun. */
export interface Prepared {
  id: number;
  /** The record that answers its request. */
  answer: Uint8Array<ArrayBuffer>;
  /**
   * Begins it: it owns the link. `onEnded` is called once, as soon as it has ended; `isAnswered`: the answer was written. `secret`: of
   * both keys, where there was an offer.
   */
  begin(options: { onEnded: () => void; isAnswered: boolean; secret?: Uint8Array | undefined }): void;
}

/** How many sessions there are, and what they hold and have carried. */
export interface SessionCounts {
  sessions: Record<SessionState, number>;
  /** The same ones, by the version of the protocol. */
  versions: Record<1 | 2, number>;
  bytesReceived: number;
  bytesSent: number;
  /** Bytes of memory of what waits in the windows of version 2. */
  windowBytes: number;
  /** Sessions of version 2 that have ended and are remembered. */
  gone: number;
}

/** What a session table needs of the proxy it is in. */
export interface SessionTableOptions {
  seams: Seams;
  upstreams: Upstreams;
  budget: CacheBudget;
  inFlight: InFlight;
  adoptKcp: Adopting["adoptKcp"];
  /** The configuration in effect. */
  config: () => Config;
}

/** The sessions of a proxy, by their ids. */
export class SessionTable {
  readonly #options: SessionTableOptions;
  #ids: { of: Owner; given: SessionIds };
  readonly #sessions = new Map<number, ProxySession | AckedProxySession>();
  readonly #gone = new GoneSessions();
  readonly #ended = new EndedSessions(MOST_REMEMBERED);
  readonly #elsewhere = new IdsElsewhere();
  /** What has been given to another table, or cannot be; missing: nothing is given. */
  #given: { sessions: Set<number>; told: Told } | undefined;
  /** Connections that are told that their session has come to its end, with what settles when they are closed. */
  readonly #ending = new Map<ClientLink, Promise<void>>();
  /** Sessions that begin when their clients have shown where they are, by their ids, with what settles then, or when they do not. */
  readonly #awaited = new Map<number, Promise<void>>();
  /** Sessions that are not closed whole: an ended one is, when its backend is. */
  readonly #running = new Set<ProxySession | AckedProxySession>();
  readonly #closed = new Condition();
  #isLooking = false;
  /** What is the same for all sessions of version 1, and of version 2: not made for each anew. */
  readonly #context: Pick<SessionContext, "log" | "stats" | "budget" | "inFlight" | "reuseTime" | "connect">;
  readonly #ackedContext: Pick<
    AckedSessionContext,
    "log" | "stats" | "budget" | "halfOpenTimeout" | "soon" | "connect"
  >;

  constructor(options: SessionTableOptions) {
    this.#options = options;
    const { seams: { log, stats, engine }, upstreams, budget, inFlight, config } = options;
    const both = { log, stats, budget, connect: (request: BackendRequest) => upstreams.connect(request) };
    this.#context = { ...both, inFlight, reuseTime: () => config().scp.reuseTime };
    this.#ackedContext = {
      ...both,
      halfOpenTimeout: () => config().scp.v2.halfOpenTimeout,
      soon: (callback: () => void) => engine.soon(callback),
    };
    this.#ids = this.#idsOf(options.seams.cluster.self);
  }

  get(id: number): ProxySession | AckedProxySession | undefined {
    return this.#sessions.get(id);
  }

  /** How many there are, and what they hold and have carried. */
  count(): SessionCounts {
    const sessions = { connecting: 0, attached: 0, detached: 0 };
    const versions = { 1: 0, 2: 0 };
    let [bytesReceived, bytesSent, windowBytes] = [0, 0, 0];
    for (const session of this.#sessions.values()) {
      const { state, version, bytes: { received, sent } } = session;
      sessions[state]++;
      versions[version]++;
      bytesReceived += received;
      bytesSent += sent;
      if (session.version === 2) windowBytes += session.windowInUse;
    }
    return { sessions, versions, bytesReceived, bytesSent, windowBytes, gone: this.#gone.size };
  }

  /** How each of them is. */
  *describe(): Generator<SessionInfo> {
    for (const session of this.#sessions.values()) yield this.#describe(session);
  }

  /** How that one is; `undefined`: there is none. */
  describeOne(id: number): SessionInfo | undefined {
    const session = this.#sessions.get(id);
    return session && this.#describe(session);
  }

  #describe(session: ProxySession | AckedProxySession): SessionInfo {
    const { layout } = this.#options.seams.cluster;
    return { ...session.describe(), ...(layout.slotBits > 0 && { node: ownerOf(session.id, layout).slot }) };
  }

  /** Prepares a session of version 1, or of version 2 where there is an offer: nothing is in the table before it is begun. */
  prepare(arrival: Arrival<NewRequest>, offer?: TakenOffer): Prepared {
    return offer ? this.#prepareAcked(arrival, offer) : this.#prepare(arrival);
  }

  /** A session that is prepared begins when `begun` settles, or, if it rejects, not at all. Settles as that does. */
  async await({ id }: Prepared, begun: Promise<void>): Promise<void> {
    const settled = begun.finally(() => this.#awaited.delete(id));
    this.#awaited.set(id, settled.catch(() => {}));
    await settled;
  }

  /** What settles when a session of that id has begun, or will not; missing: it is not awaited. */
  awaited(id: number): Promise<void> | undefined {
    return this.#awaited.get(id);
  }

  #prepare({ link, dialect, request, rest }: Arrival<NewRequest>): Prepared {
    const { seams: { randomU64, stats }, config } = this.#options;
    const { reuseBuffer: cacheSize } = config().scp;
    const id = this.#freshId();
    const { session, answer } = accept(request, { id, privateKey: randomU64() || 1n, dialect, cacheSize });
    const begin: Prepared["begin"] = ({ onEnded, isAnswered }) => {
      // Before its answer is sent: the client may resume as soon as it knows the id.
      const proxied = this.#proxied(session, { client: link.remote, cacheSize, onEnded });
      stats.sessionsBegun++;
      proxied.run(link, { answer: isAnswered ? NOTHING : answer, rest, target: request.target, flag: request.flag });
    };
    return { id, answer, begin };
  }

  #prepareAcked(
    { link, dialect, request, content, rest }: Arrival<NewRequest>,
    { offer, publicKey }: TakenOffer,
  ): Prepared {
    const { seams: { randomU64, stats }, config } = this.#options;
    const { reuseTime, window, cache: cacheSize, pingInterval, pingTimeout } = config().scp.v2;
    const id = this.#freshId();
    const terms = { key: publicKey, window, ping: pingInterval, reuse: reuseTime };
    const options = { id, privateKey: randomU64() || 1n, dialect, cacheSize, terms };
    const { session, answer } = acceptOffer(request, offer, options);
    const record = encodeRecord(answer);
    const begin: Prepared["begin"] = ({ onEnded, isAnswered, secret }) => {
      const proxied = this.#ackedProxied(session, {
        ...{ client: link.remote, key: ResumeKey.of(secret!, content, answer), reuseTime, onEnded },
        liveness: { pingInterval, pingTimeout },
      });
      stats.sessionsBegun++;
      proxied.run(link, { answer: isAnswered ? NOTHING : record, rest, target: request.target, flag: request.flag });
    };
    return { id, answer: record, begin };
  }

  #proxied(
    session: Session,
    { client, cacheSize, onEnded }: { client: Endpoint; cacheSize: number; onEnded: () => void },
  ): ProxySession {
    const proxied: ProxySession = new ProxySession(session, client, {
      ...this.#context,
      cacheSize,
      onEnded: (kind) => {
        const { seams: { now }, config } = this.#options;
        this.#sessions.delete(session.id);
        this.#ended.add(session, kind === "upstream_closed" ? now() + config().scp.reuseTime : undefined);
        onEnded();
      },
      onClosed: () => this.#onClosed(proxied),
      onLeft: () => this.#onLeft(proxied, onEnded),
    });
    return this.#begin(proxied);
  }

  #ackedProxied(
    session: AckedSession,
    { client, key, reuseTime, liveness, onEnded }:
      & Pick<AckedSessionContext, "key" | "reuseTime" | "liveness">
      & { client: Endpoint; onEnded: () => void },
  ): AckedProxySession {
    const { id } = session;
    const proxied: AckedProxySession = new AckedProxySession(session, client, {
      ...this.#ackedContext,
      ...{ key, reuseTime, liveness },
      onEnded: (_kind, end) => {
        this.#sessions.delete(id);
        const { now } = this.#options.seams;
        this.#gone.add({ id, key, end, index: session.index, until: now() + reuseTime }, this.#mostGone);
        onEnded();
      },
      onClosed: () => this.#onClosed(proxied),
      onLeft: () => this.#onLeft(proxied, onEnded),
    });
    return this.#begin(proxied);
  }

  get #mostGone(): number {
    return Math.max(MOST_REMEMBERED, this.#options.config().limits.sessions);
  }

  #begin<T extends ProxySession | AckedProxySession>(session: T): T {
    this.#sessions.set(session.id, session);
    this.#running.add(session);
    return session;
  }

  #onLeft(session: ProxySession | AckedProxySession, onEnded: () => void): void {
    this.#sessions.delete(session.id);
    this.#elsewhere.left(session.id);
    this.#onClosed(session);
    onEnded();
  }

  #onClosed(session: ProxySession | AckedProxySession): void {
    this.#running.delete(session);
    this.#closed.notify();
  }

  /**
   * Resumes a session, or tells how it ended, and owns the link when this returns: gives the wire's code of the answer. Throws
   * `ScpError`, and then the caller still has the link.
   */
  resume(arrival: Arrival<ResumeRequest>): 200 | 410 {
    const { link, dialect, request, content, rest } = arrival;
    const session = this.#sessions.get(request.id);
    if (session?.version === 2) {
      const proof = parseResumeProof(content, request.received);
      session.resume(link, { request, proof, rest, dialect });
      return 200;
    }
    const answer = (received: number) => answerRecord({ received, code: 200 }, dialect);
    if (session?.resume(link, { request, rest, answer })) return 200;
    if (this.#gone.has(request.id)) return this.#tellGone(arrival);
    const ended = this.#ended.get(request.id);
    if (!session && !this.#ended.has(request.id) && this.#elsewhere.isOnItsWay(request.id)) {
      throw new ScpError(501, `session ${request.id} goes from one process, or thread, to another`);
    }
    if (!ended) throw new ScpError(404, `no session ${request.id}`);
    // Else the request has been looked at already.
    if (!session) {
      ended.authorize(request);
      ended.missing(request.received);
    }
    this.#tell(link, answer(ended.receivedOnWire));
    return 200;
  }

  #tellGone({ link, dialect, request, content }: Arrival<ResumeRequest>): 410 {
    const proof = parseResumeProof(content, request.received);
    this.#tell(link, encodeRecord(this.#gone.answer(request, proof, dialect)));
    return 410;
  }

  #tell(link: ClientLink, answer: Uint8Array): void {
    const told = tellEnd(link, answer).finally(() => this.#ending.delete(link));
    this.#ending.set(link, told);
  }

  /** Whether a session of that id has ended not long ago. */
  endedLately(id: number): boolean {
    return this.#ended.has(id) || this.#gone.has(id);
  }

  /** Looks at every session: to be called about once a second. Settles when it has; what else there is has its turns meanwhile. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    let looks = 0;
    for (const session of this.#sessions.values()) {
      const { tcpOption, upstreamOption } = this.#options.config();
      if (session.version === 2) session.look(upstreamOption.ackTimeout);
      else session.look(tcpOption.readTimeout, tcpOption.ackTimeout, upstreamOption.ackTimeout);
      if (++looks % LOOKS === 0) await turn();
    }
    this.#isLooking = false;
    const now = this.#options.seams.now();
    this.#ended.forget(now);
    this.#gone.forget(now);
  }

  /** Has at most so many clients whose connections that process carries come over another one: see `AckedProxySession.moveOff`. */
  moveOff(instance: string, most: number, urlFor: (transport: Transport, dialect: Dialect) => string): number {
    let told = 0;
    for (const session of this.#sessions.values()) {
      if (told >= most) break;
      if (session.version === 2 && session.moveOff(instance, urlFor)) told++;
    }
    return told;
  }

  /** Those of all that `moveOut` would give now. */
  get ids(): MovedIds {
    return { format: FORMAT, kind: "ids", ids: [...this.#sessions.keys(), ...this.#gone.ids(), ...this.#ended.ids()] };
  }

  /**
   * Gives to another table what is remembered of sessions that have ended, and then all sessions, so many at a time at the most, of which each
   * stands still only until that has it. Each piece is the caller's, who may give it back by `moveIn`. A resume of one that has left meets
   * 501. Those stay that cannot go, as their backends have no connection that can, and what is left of those that have ended: see
   * `closed`. An empty list comes once, before those whose clients share sockets: from then on nobody is to read these, and those stand
   * still together, until the last piece.
   */
  async *moveOut(most = MOST_TOGETHER): AsyncGenerator<Packed[], void, void> {
    this.#given = { sessions: new Set(), told: new Told() };
    yield [about(this.ids)];
    yield* this.#memories();
    yield* this.#moveOut(({ sharesSocket }) => !sharesSocket, most);
    yield [];
    yield* this.#moveOut(() => true, MOST_STANDING);
    yield* this.#memories();
    yield [about({ format: FORMAT, kind: "end" })];
  }

  /**
   * Gives what has begun, or ended, since `moveOut`, when the other table is in charge; to be asked for again and again. Sessions that stay
   * end when their clients share a socket, which is the other's: nobody would hear these any more.
   */
  async *moveLate(most = MOST_TOGETHER): AsyncGenerator<Packed[], void, void> {
    for (const session of this.#sessions.values()) if (session.sharesSocket) session.abort("shutdown", NOT_HEARD);
    yield* this.#moveOut(() => true, most);
    yield* this.#memories();
  }

  /** Whether no session begins over a socket that its client shares: it may not be read any more when that would show that it is there. */
  get isMovingOut(): boolean {
    return this.#given !== undefined;
  }

  *#memories(): Generator<Packed[]> {
    const { told } = this.#given!;
    const now = this.#options.seams.now();
    for (const memory of memoryOf({ ended: this.#ended, gone: this.#gone }, told, now)) yield [about(memory)];
  }

  /** Gives those that fit, each once: one that is given back does not go again. */
  async *#moveOut(
    fits: (session: ProxySession | AckedProxySession) => boolean,
    most: number,
  ): AsyncGenerator<Packed[], void, void> {
    const given = this.#given!.sessions;
    let [together, bytes]: [Promise<Packed>[], number] = [[], 0];
    for (const session of [...this.#sessions.values()]) {
      if (this.#sessions.get(session.id) !== session || given.has(session.id) || !fits(session)) continue;
      given.add(session.id);
      const one = session.version === 1
        ? packedOf("session", session.leave())
        : packedOf("acked session", session.leave());
      if (!one) continue;
      together.push(one.packed);
      bytes += one.bytes;
      if (together.length < most && bytes < MOST_BYTES_TOGETHER) continue;
      yield await Promise.all(together);
      [together, bytes] = [[], 0];
    }
    if (together.length > 0) yield await Promise.all(together);
  }

  /**
   * Takes what another table gave by `moveOut`, in whatever thread or process: the sessions go on here. Owns the descriptors, unless it
   * throws: `ShapeError` when it does not know what that is, and then nothing has changed. Until a session that is to come has come, its
   * resumes meet 501, so that their clients try again. `admit`: counts a session of an address, and gives how to count it off. Gives what
   * it was.
   */
  moveIn(value: unknown, descriptors: readonly number[], admit: (origin: string) => () => void): Moved["kind"] {
    const moved = readMoved(value, descriptors.length);
    const { engine } = this.#options.seams;
    if (descriptors.length > 0 && !engine.adopt) {
      throw new ShapeError(`there are descriptors, which ${engine.name} cannot use`);
    }
    if (moved.kind === "ids") {
      this.#elsewhere.expect(moved.ids.filter((id) => !this.#isHere(id)));
    } else if (moved.kind === "memory") {
      const now = this.#options.seams.now();
      this.#ended.restore(moved.ended, now);
      this.#gone.restore(moved.gone, now, this.#mostGone);
      for (const { id } of [...moved.ended, ...moved.gone]) this.#elsewhere.came(id);
    } else if (moved.kind !== "end") this.#arrive(moved, descriptors, admit);
    return moved.kind;
  }

  #arrive(
    moved: Extract<Moved, { snapshot: unknown }>,
    descriptors: readonly number[],
    admit: (origin: string) => () => void,
  ): void {
    const { snapshot: { record, session: { id } } } = moved;
    if (this.#sessions.has(id)) throw new ShapeError(`session ${id} is here already`);
    const { client, origin } = record;
    // First what may throw, while nothing has changed.
    if (moved.kind === "session") {
      const { snapshot } = moved;
      const session = Session.restore(snapshot.session);
      const options = { client, cacheSize: snapshot.session.cacheSize, onEnded: admit(origin) };
      const proxied = this.#proxied(session, options);
      this.#goOn(proxied, adopted(moved, descriptors, this.#options), (arrived) => proxied.goOn(snapshot, arrived));
    } else {
      const { snapshot } = moved;
      const { key, reuseTime, pingInterval, pingTimeout } = snapshot.terms;
      const session = AckedSession.restore(snapshot.session);
      const terms = { key: ResumeKey.restore(key), reuseTime, liveness: { pingInterval, pingTimeout } };
      const proxied = this.#ackedProxied(session, { client, ...terms, onEnded: admit(origin) });
      this.#goOn(proxied, adopted(moved, descriptors, this.#options), (arrived) => proxied.goOn(snapshot, arrived));
    }
    this.#elsewhere.came(id);
  }

  /** The descriptors are those of the connections by now: when that fails the session is lost, and nothing else. */
  #goOn(session: ProxySession | AckedProxySession, arrived: Arrived, goOn: (arrived: Arrived) => void): void {
    try {
      goOn(arrived);
    } catch (error) {
      const reason = `it could not go on where it moved: ${reasonOf(error)}`;
      this.#options.seams.log.error("session lost", { id: session.id, reason });
      try {
        session.abort("shutdown", reason);
      } catch {
        // It stumbles over the same.
      }
      arrived.client?.what.close();
      arrived.backend?.what.link.close();
    }
  }

  /** No other table has what has left this one: it is lost, and so its clients are told. */
  forgetLeft(): void {
    this.#given = undefined;
    this.#elsewhere.forgetLeft();
  }

  /** What was to come to this one and has not is lost, too. */
  forgetComing(): void {
    this.#elsewhere.allCame();
  }

  /** Ends every session in order: see `ProxySession.stop`. */
  stop(): void {
    for (const session of this.#sessions.values()) session.stop();
  }

  /** Ends at once what has not come to its end. */
  abort(reason: string): void {
    for (const session of this.#running) session.abort("shutdown", reason);
    for (const link of this.#ending.keys()) link.close();
  }

  /** Settles when all are closed whole. */
  async closed(): Promise<void> {
    while (this.#running.size + this.#ending.size > 0) {
      if (this.#running.size > 0) await this.#closed.wait();
      await Promise.all(this.#ending.values());
    }
  }

  #idsOf(owner: Owner): { of: Owner; given: SessionIds } {
    const { randomU64, cluster: { layout } } = this.#options.seams;
    return { of: owner, given: new SessionIds(randomU64(), owner, layout) };
  }

  /** One that no session has, nor one that is remembered. Throws `ScpError` 501 when too few are left to look for one. */
  #freshId(): number {
    const { self } = this.#options.seams.cluster;
    if (self.slot !== this.#ids.of.slot || self.epoch !== this.#ids.of.epoch) this.#ids = this.#idsOf(self);
    const known = [this.#sessions, this.#gone, this.#ended, this.#elsewhere];
    const taken = known.reduce((sum, { size }) => sum + size, 0);
    if (taken > MOST_IDS * this.#ids.given.count) throw new ScpError(501, `of all ids ${taken} are taken`);
    for (;;) {
      const id = this.#ids.given.next();
      if (!this.#isHere(id) && !this.#awaited.has(id) && !this.#elsewhere.has(id)) return id;
    }
  }

  /** Whether a session has it here, or had and is remembered. */
  #isHere(id: number): boolean {
    return this.#sessions.has(id) || this.#gone.has(id) || this.#ended.has(id);
  }
}

/** What is no session. */
function about(data: Moved): Packed {
  return { data, descriptors: [], done() {} };
}

/** `undefined`: it stays. `bytes`: that it has in hands. */
function packedOf<K extends string, S extends ProxySessionSnapshot | AckedProxySessionSnapshot>(
  kind: K,
  parting: Parting<S> | undefined,
) {
  return parting && { packed: packed(kind, parting), bytes: bytesIn(parting.snapshot) };
}

/** What may be much of it. */
function bytesIn({ session, toClient }: ProxySessionSnapshot | AckedProxySessionSnapshot): number {
  const { length } = toClient;
  if ("cache" in session) return length + session.cache.length;
  return length + session.outgoing.frames.length + session.incoming.waiting.length;
}

/** Answers, and ends the stream: never rejects. */
async function tellEnd(link: ClientLink, answer: Uint8Array): Promise<void> {
  await writeAll(link, answer).catch(() => {}); // it is gone: it may come again
  await lingeringClose(link);
}
