import { Condition } from "../../link/condition.ts";
import { type ClientLink, lingeringClose, type Transport, writeAll } from "../../link/link.ts";
import { turn } from "../../link/turn.ts";
import {
  answerRecord,
  type Dialect,
  encodeRecord,
  type NewRequest,
  type ResumeRequest,
  ScpError,
} from "../../scp/mod.ts";
import { parseResumeProof } from "../../scp/v2/mod.ts";
import { ownerOf } from "../owner.ts";
import { EndedSessions } from "./ended_sessions.ts";
import type { Adopting } from "./move/adopted.ts";
import { goOnWith } from "./move/coming.ts";
import { Going, type Having, idsOf } from "./move/going.ts";
import { IdsElsewhere } from "./move/ids_elsewhere.ts";
import { type Moved, type MovedIds, readMoved } from "./move/moved.ts";
import type { Packed } from "./move/packed.ts";
import { ShapeError } from "./move/shape.ts";
import type { ProxySession } from "./session.ts";
import {
  type Arrival,
  type FactoryOptions,
  type Prepared,
  SessionFactory,
  type SessionKeeper,
  type TakenOffer,
} from "./session_factory.ts";
import { FreshIds } from "./session_ids.ts";
import type { SessionInfo, SessionState } from "./session_record.ts";
import type { AckedProxySession } from "./v2/acked_proxy_session.ts";
import { GoneSessions } from "./v2/gone_sessions.ts";

/** How many of the sessions of version 1 that have ended are remembered; and at least of version 2. */
const MOST_REMEMBERED = 10_000;

/** Sessions that are looked at in one turn. */
const LOOKS = 200;

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
export interface SessionTableOptions extends FactoryOptions {
  adoptKcp: Adopting["adoptKcp"];
}

/** The sessions of a proxy, by their ids. */
export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #factory: SessionFactory;
  readonly #ids: FreshIds;
  readonly #sessions = new Map<number, ProxySession | AckedProxySession>();
  readonly #gone = new GoneSessions();
  readonly #ended = new EndedSessions(MOST_REMEMBERED);
  readonly #elsewhere = new IdsElsewhere();
  /** Missing: nothing is given to another table. */
  #going: Going | undefined;
  /** Connections that are told that their session has come to its end, with what settles when they are closed. */
  readonly #ending = new Map<ClientLink, Promise<void>>();
  /** Sessions that begin when their clients have shown where they are, by their ids, with what settles then, or when they do not. */
  readonly #awaited = new Map<number, Promise<void>>();
  /** Sessions that are not closed whole: an ended one is, when its backend is. */
  readonly #running = new Set<ProxySession | AckedProxySession>();
  readonly #closed = new Condition();
  #isLooking = false;

  constructor(options: SessionTableOptions) {
    this.#options = options;
    this.#factory = new SessionFactory(options, this.#keeper);
    this.#ids = new FreshIds(options.seams);
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

  /** See `SessionFactory.prepare`: nothing is in the table before it is begun. */
  prepare(arrival: Arrival<NewRequest>, offer?: TakenOffer): Prepared {
    return this.#factory.prepare(arrival, offer);
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
    return idsOf(this.#having);
  }

  /**
   * Gives to another table what is remembered of sessions that have ended, and then all sessions, so many at a time at the most, of which each
   * stands still only until that has it. Each piece is the caller's, who may give it back by `moveIn`. A resume of one that has left meets
   * 501. Those stay that cannot go, as their backends have no connection that can, and what is left of those that have ended: see
   * `closed`. An empty list comes twice, before and after those that have begun meanwhile: then nobody is to read sockets that clients
   * share, until the other table is told that all sessions have come, by `MovedEnd`.
   */
  async *moveOut(most?: number): AsyncGenerator<Packed[], void, void> {
    this.#going = new Going(this.#having);
    yield* this.#going.all(most);
  }

  /**
   * Gives what has begun, or ended, since `moveOut`, when the other table is in charge; to be asked for again and again. Sessions that stay
   * end when their clients share a socket, which is the other's: nobody would hear these any more.
   */
  moveLate(): AsyncGenerator<Packed[], void, void> {
    return this.#going!.late();
  }

  /** Whether no session begins over a socket that its client shares: it may not be read any more when that would show that it is there. */
  get isMovingOut(): boolean {
    return this.#going !== undefined;
  }

  /**
   * Takes what another table gave by `moveOut`, in whatever thread or process: the sessions go on here. Owns the descriptors, unless it
   * throws: `ShapeError` when it does not know what that is, and then nothing has changed. Until a session that is to come has come, its
   * resumes meet 501, so that their clients try again. `admit`: counts a session of an address, and gives how to count it off. Gives what
   * it was.
   */
  moveIn(value: unknown, descriptors: readonly number[], admit: (origin: string) => () => void): Moved["kind"] {
    const moved = this.readMoved(value, descriptors.length);
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

  /** What another table gave by `moveOut` with so many descriptors. Throws `ShapeError` when `moveIn` would. */
  readMoved(value: unknown, descriptors: number): Moved {
    const moved = readMoved(value, descriptors);
    const { engine } = this.#options.seams;
    if (descriptors > 0 && !engine.adopt) {
      throw new ShapeError(`there are descriptors, which ${engine.name} cannot use`);
    }
    const id = "snapshot" in moved ? moved.snapshot.session.id : 0;
    if (this.#sessions.has(id)) throw new ShapeError(`session ${id} is here already`);
    return moved;
  }

  #arrive(
    moved: Extract<Moved, { snapshot: unknown }>,
    descriptors: readonly number[],
    admit: (origin: string) => () => void,
  ): void {
    const { record: { origin }, session: { id } } = moved.snapshot;
    goOnWith(moved, descriptors, { ...this.#options, factory: this.#factory }, () => admit(origin));
    this.#elsewhere.came(id);
  }

  /** No other table has what has left this one: it is lost, and so its clients are told. */
  forgetLeft(): void {
    this.#going = undefined;
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

  /** Whether a session has it here, or had and is remembered. */
  #isHere(id: number): boolean {
    return this.#sessions.has(id) || this.#gone.has(id) || this.#ended.has(id);
  }

  get #having(): Having {
    return { sessions: this.#sessions, ended: this.#ended, gone: this.#gone, now: this.#options.seams.now };
  }

  get #keeper(): SessionKeeper {
    const { seams: { now }, config } = this.#options;
    return {
      freshId: () => this.#ids.next([this.#sessions, this.#gone, this.#ended, this.#elsewhere, this.#awaited]),
      began: (session) => {
        this.#sessions.set(session.id, session);
        this.#running.add(session);
      },
      ended: (session, kind) => {
        this.#sessions.delete(session.id);
        this.#ended.add(session, kind === "upstream_closed" ? now() + config().scp.reuseTime : undefined);
      },
      ackedEnded: ({ id, index }, _kind, end, { key, reuseTime }) => {
        this.#sessions.delete(id);
        this.#gone.add({ id, key, end, index, until: now() + reuseTime }, this.#mostGone);
      },
      left: (session) => {
        this.#sessions.delete(session.id);
        this.#elsewhere.left(session.id);
        this.#onClosed(session);
      },
      closed: (session) => this.#onClosed(session),
    };
  }

  get #mostGone(): number {
    return Math.max(MOST_REMEMBERED, this.#options.config().limits.sessions);
  }

  #onClosed(session: ProxySession | AckedProxySession): void {
    this.#running.delete(session);
    this.#closed.notify();
  }
}

/** Answers, and ends the stream: never rejects. */
async function tellEnd(link: ClientLink, answer: Uint8Array): Promise<void> {
  await writeAll(link, answer).catch(() => {}); // it is gone: it may come again
  await lingeringClose(link);
}
