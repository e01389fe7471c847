import type { Endpoint } from "../../lib/link/link.ts";
import { CacheBudget } from "../../lib/proxy/session/cache/cache_budget.ts";
import { InFlight } from "../../lib/proxy/session/in_flight.ts";
import { ProxySession, type SessionContext, type SessionTerms } from "../../lib/proxy/session/session.ts";
import type { EndKind } from "../../lib/proxy/stats.ts";
import { Stats } from "../../lib/proxy/stats.ts";
import type { BackendRequest } from "../../lib/proxy/upstream/reach.ts";
import type { Backend } from "../../lib/proxy/upstream/upstream.ts";
import { type Dialect, type ResumeRequest, Session } from "../../lib/scp/mod.ts";
import { type ManualFlow, ManualFlowLink } from "./manual_flow.ts";
import { TestLog } from "./proxy.ts";

const ENDPOINT: Endpoint = { hostname: "192.0.2.1", port: 5 };
const NOTHING = new Uint8Array(0);

export const bytes = (text: string) => new TextEncoder().encode(text);

/** What is told after a call, and not in the middle of it, has been told. */
export const soon = () => Promise.resolve();

export interface StageOptions {
  reuseTime?: number;
  cacheSize?: number;
  dialect?: Dialect;
  budget?: CacheBudget;
  /** How many bytes the first connection, and the backend, take until they are given more room. */
  clientRoom?: number;
  backendRoom?: number;
}

/** A session without a socket, of dialect plain unless told otherwise: its client's connections and its backend are flows that the test moves. */
export class SessionStage {
  /** The client's end. */
  readonly client: Session;
  readonly log = new TestLog();
  readonly stats = new Stats();
  session: ProxySession;
  /** The client's connections; the last is the one there is, or was last. */
  readonly flows: ManualFlow[] = [];
  readonly backendLink: ManualFlowLink;
  readonly backend: ManualFlow;
  /** In the order in which they came: what the session told of its end. */
  readonly ends: (EndKind | "closed" | "released")[] = [];
  asked: BackendRequest | undefined;
  /** Whether that was answered. */
  isDialled = false;
  #dialled = Promise.withResolvers<Backend>();
  readonly #clientRoom: number;
  readonly #terms: SessionTerms;
  readonly #context: SessionContext;
  #isLeaving = false;

  constructor(options: StageOptions = {}) {
    const { reuseTime = 3_600_000, cacheSize = 1024, dialect = "plain", budget = new CacheBudget(0) } = options;
    const { clientRoom = Infinity, backendRoom = Infinity } = options;
    this.#clientRoom = clientRoom;
    this.backendLink = new ManualFlowLink({ room: backendRoom });
    this.backend = this.backendLink.flow;
    const both = { id: 7, secret: 1n, dialect };
    this.client = new Session({ ...both, cacheSize: 2 ** 20 });
    this.#terms = { cacheSize, onGone: () => {} };
    this.#context = {
      log: this.log,
      stats: this.stats,
      budget,
      reuseTime: () => reuseTime,
      inFlight: new InFlight(false, { soon: () => {} }),
      connect: (request) => {
        this.asked = request;
        this.#dialled = Promise.withResolvers();
        return this.#dialled.promise;
      },
      onEnded: (_session, kind) => this.ends.push(kind),
      onClosed: () => this.ends.push("closed"),
      onLeft: () => {},
    };
    this.session = new ProxySession(new Session({ ...both, cacheSize }), ENDPOINT, this.#terms, this.#context);
  }

  /** The session has begun, and dials its backend. */
  static run(options: StageOptions & { rest?: Uint8Array; error?: Error } = {}): SessionStage {
    const stage = new SessionStage(options);
    const link = new ManualFlowLink({ room: stage.#clientRoom });
    if (options.error) link.flow.break(options.error);
    stage.flows.push(link.flow);
    stage.session.run(link, { answer: bytes("answer "), rest: options.rest ?? NOTHING, target: "", flag: 0 });
    return stage;
  }

  /** The backend is there, and both ways are being read. */
  static async relaying(options: StageOptions = {}): Promise<SessionStage> {
    const stage = SessionStage.run(options);
    await stage.connect();
    return stage;
  }

  /** The connection of the client there is, or was last. */
  get flow(): ManualFlow {
    return this.flows.at(-1)!;
  }

  get state(): string {
    return this.session.describe().state;
  }

  /** What was logged last. */
  get lastReason(): string {
    return String(this.log.events.at(-1)!.reason);
  }

  /** The backend is reached; or, with an error, no one is. */
  async connect(error?: Error): Promise<void> {
    this.isDialled = true;
    if (error) this.#dialled.reject(error);
    else this.#dialled.resolve(this.#backendOf(this.backendLink));
    await soon();
  }

  /**
   * The session goes on elsewhere, from what is plain data: of what its connections have taken so many bytes were not sent, at the most.
   * Gives false when it cannot.
   */
  move({ client: unsent = 0, backend: unfed = 0 } = {}): boolean {
    this.#isLeaving = true;
    const parting = this.session.leave();
    this.#isLeaving = false;
    if (!parting) return false;
    parting.left?.close();
    const { client, backend } = parting;
    const snapshot = structuredClone(parting.snapshot);
    this.session = new ProxySession(Session.restore(snapshot.session), ENDPOINT, this.#terms, this.#context);
    this.session.goOn(snapshot, {
      client: client &&
        { what: new ManualFlowLink({ flow: this.flow }), remains: this.flow.moveOn(unsent, client.rest) },
      backend: backend && {
        what: this.#backendOf(new ManualFlowLink({ flow: this.backend })),
        remains: this.backend.moveOn(unfed, NOTHING),
      },
    });
    return true;
  }

  /** Its release while the session leaves is none. */
  #backendOf(link: ManualFlowLink): Backend {
    return { link, name: "", address: "backend", release: () => this.#isLeaving || this.ends.push("released") };
  }

  /** The client comes over another connection, which must not be refused. */
  async resume(options: { room?: number; error?: Error; rest?: Uint8Array } = {}): Promise<ManualFlow> {
    this.tryResume(this.client.nextResume(), options);
    await soon();
    return this.flow;
  }

  /** The same at once, with any request; throws what it is refused with. Gives whether the session took the connection. */
  tryResume(
    request: ResumeRequest,
    { room = Infinity, error, rest = NOTHING }: { room?: number; error?: Error; rest?: Uint8Array } = {},
  ): boolean {
    const link = new ManualFlowLink({ room });
    if (error) link.flow.break(error);
    const answer = (received: number) => bytes(`resumed at ${received} `);
    const isTaken = this.session.resume(link, { request, rest, answer });
    if (isTaken) this.flows.push(link.flow);
    return isTaken;
  }
}
