import { createHmac } from "node:crypto";
import { LARGEST_READ } from "../../lib/link/relay.ts";
import { CacheBudget } from "../../lib/proxy/session/cache/cache_budget.ts";
import {
  AckedProxySession,
  type AckedSessionContext,
  type AckedSessionTerms,
} from "../../lib/proxy/session/v2/acked_proxy_session.ts";
import { ResumeKey } from "../../lib/proxy/session/v2/resume_key.ts";
import { type EndKind, Stats } from "../../lib/proxy/stats.ts";
import type { Backend } from "../../lib/proxy/upstream/upstream.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import { AckedSession, type AckedSessionOptions, resumeProofText } from "../../lib/scp/v2/mod.ts";
import { concat } from "./bytes.ts";
import { type ManualFlow, ManualFlowLink } from "./manual_flow.ts";
import { TestLog } from "./proxy.ts";
import { bytes, soon } from "./session_stage.ts";

const ENDPOINT = { hostname: "192.0.2.1", port: 5 };
const KEY = new Uint8Array(32).fill(7);
const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);
const ANSWER = bytes("answer");

/** One end of a session whose streams are at that position, all of them acknowledged. */
function endAt(position: number, options: AckedSessionOptions): AckedSession {
  const session = new AckedSession(options);
  if (position === 0) return session;
  const outgoing = { ...session.snapshot.outgoing, acked: position, base: position, sent: position };
  const incoming = { ...session.snapshot.incoming, received: position, said: position };
  return AckedSession.restore({ ...session.snapshot, outgoing, incoming });
}

export interface AckedStageOptions {
  reuseTime?: number;
  halfOpenTimeout?: number;
  pingInterval?: number;
  pingTimeout?: number;
  cacheSize?: number;
  /** Of the proxy, and of the client. */
  window?: number;
  clientWindow?: number;
  dialect?: Dialect;
  /** Where both streams are already. */
  position?: number;
  budget?: CacheBudget;
  /** How many bytes the first connection, and the backend, take until they are given more room. */
  clientRoom?: number;
  backendRoom?: number;
}

/** A session of version 2 without a socket: its client's connections and its backend are flows that the test moves. */
export class AckedStage {
  /** The client's end. */
  readonly client: AckedSession;
  readonly log = new TestLog();
  readonly stats = new Stats();
  readonly budget: CacheBudget;
  session: AckedProxySession;
  /** The client's connections; the last is the one there is, or was last. */
  readonly flows: ManualFlow[] = [];
  readonly backendLink: ManualFlowLink;
  readonly backend: ManualFlow;
  /** In the order in which they came: what the session told of its end. */
  readonly ends: (EndKind | "closed" | "released")[] = [];
  /** The code of its end, as it is remembered. */
  code: number | undefined;
  signal: AbortSignal | undefined;
  isDialled = false;
  /** What the client got of the stream, and how much it takes. */
  got: Uint8Array = NOTHING;
  appetite = Infinity;
  /** How much it has read of its connection, and how long the answer is that comes first. */
  #read = 0;
  #answer = ANSWER.length;
  #dialled = Promise.withResolvers<Backend>();
  readonly #terms: AckedSessionTerms;
  readonly #context: AckedSessionContext;
  #isLeaving = false;

  constructor(options: AckedStageOptions = {}) {
    const { reuseTime = 3_600_000, halfOpenTimeout = 0, pingInterval = 0, pingTimeout = 10_000 } = options;
    const { cacheSize = 1024, window = 1024, clientWindow = 1024, dialect = "plain", position = 0 } = options;
    this.budget = options.budget ?? new CacheBudget(0);
    this.backendLink = new ManualFlowLink({ room: options.backendRoom ?? Infinity });
    this.backend = this.backendLink.flow;
    const both = { id: 7, secret: 1n, dialect };
    this.client = endAt(position, { ...both, cacheSize: 2 ** 20, window: clientWindow, peerWindow: window });
    const session = endAt(position, { ...both, cacheSize, window, peerWindow: clientWindow });
    const liveness = { pingInterval, pingTimeout };
    this.#terms = { key: new ResumeKey(KEY), reuseTime, liveness, onGone: () => {} };
    this.#context = {
      ...{ log: this.log, stats: this.stats, budget: this.budget },
      halfOpenTimeout: () => halfOpenTimeout,
      soon: queueMicrotask,
      connect: ({ signal }) => {
        this.signal = signal;
        this.#dialled = Promise.withResolvers();
        return this.#dialled.promise;
      },
      onEnded: (_session, kind, code) => {
        this.ends.push(kind);
        this.code = code;
      },
      onClosed: () => this.ends.push("closed"),
      onLeft: () => {},
    };
    this.session = new AckedProxySession(session, ENDPOINT, this.#terms, this.#context);
  }

  /** The session has begun, and dials its backend. */
  static run(options: AckedStageOptions = {}): AckedStage {
    const stage = new AckedStage(options);
    const link = new ManualFlowLink({ room: options.clientRoom ?? Infinity });
    stage.flows.push(link.flow);
    stage.client.attach(options.position ?? 0, NOTHING);
    stage.session.run(link, { answer: ANSWER, rest: NOTHING, target: "", flag: 0 });
    return stage;
  }

  /** The backend is there, and both ways are being read. */
  static async relaying(options: AckedStageOptions = {}): Promise<AckedStage> {
    const stage = AckedStage.run(options);
    await stage.connect();
    return stage;
  }

  /** The connection of the client there is, or was last. */
  get flow(): ManualFlow {
    return this.flows.at(-1)!;
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
    this.session = new AckedProxySession(AckedSession.restore(snapshot.session), ENDPOINT, this.#terms, this.#context);
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

  /** The client sends bytes of the stream; ends its direction; says something. It all arrives. */
  send(text: string | Uint8Array<ArrayBuffer>): Promise<void> {
    this.client.send(typeof text === "string" ? bytes(text) : text);
    return this.arrive();
  }

  finish(): Promise<void> {
    this.client.finish();
    return this.arrive();
  }

  sayClose(code: number): Promise<void> {
    this.client.sayClose(code, "");
    return this.arrive();
  }

  /** What the client has to say arrives at the proxy. */
  async arrive(): Promise<void> {
    for (let wire = this.client.wire; wire.length > 0; wire = this.client.wire) {
      const part = wire.slice(0, LARGEST_READ);
      this.client.wrote(part.length);
      if (this.flow.isHeard) this.flow.bring(part);
    }
    await soon();
  }

  /** The client reads what its connection has taken, so many bytes at the most. */
  read(most = Infinity): void {
    const { written } = this.flow;
    const from = Math.max(this.#read, this.#answer);
    this.#read = Math.min(this.#read + most, written.length);
    this.client.receive(written.slice(from, Math.max(from, this.#read)), this);
    this.#takeEnd();
  }

  /** What the connection has taken and the client has not read: the answer too, while it has read nothing. */
  get unread(): number {
    return this.flow.written.length - this.#read;
  }

  /** The same, of what came after the answer. */
  get unreadFrames(): number {
    return Math.max(0, this.flow.written.length - Math.max(this.#read, this.#answer));
  }

  /** The client takes so many bytes more. */
  feed(appetite: number): void {
    this.appetite += appetite;
    this.client.drain(this);
    this.#takeEnd();
  }

  /** The client reads all, acknowledges it, and that arrives. */
  async acknowledge(): Promise<void> {
    this.read();
    this.client.sayAck();
    await this.arrive();
  }

  /** Whether the client has got all of the stream, and its end. */
  get hasEnded(): boolean {
    return this.client.isReceivedDone;
  }

  /** Over another connection; throws what it is refused with. What is in the old one is lost. */
  resume(options: { index?: number; received?: number; mac?: Uint8Array<ArrayBuffer>; room?: number } = {}): void {
    const { index = this.client.nextIndex(), received = this.client.received, room = Infinity } = options;
    const text = resumeProofText(7, index, received);
    const mac = options.mac ?? new Uint8Array(createHmac("sha256", KEY).update(text).digest());
    const link = new ManualFlowLink({ room });
    this.session.resume(link, {
      request: { kind: "resume", id: 7, index, received: received % 2 ** 32, hmac: 0n },
      proof: { value: received, mac },
      rest: NOTHING,
      dialect: "plain",
    });
    this.flows.push(link.flow);
    const answer = link.flow.text.slice(2).split("\n");
    this.#answer = 2 + (link.flow.written[0]! << 8 | link.flow.written[1]!);
    this.#read = 0;
    this.client.attach(Number(answer[2]!.split(" ")[1]), NOTHING);
  }

  /** The last CLOSE that the client was told. */
  get closed(): number | undefined {
    return this.client.closed?.code;
  }

  /** What the backend saw of the end; `open`: nothing. */
  get backendSaw(): "open" | "end" | "closed" | "end, closed" | "reset" | "end, reset" {
    const { isWriteClosed, isClosed, isReset } = this.backend;
    if (!isClosed) return isWriteClosed ? "end" : "open";
    return `${isWriteClosed ? "end, " : ""}${isReset ? "reset" : "closed"}` as "reset";
  }

  take(part: Uint8Array<ArrayBuffer>): number {
    const n = Math.min(part.length, this.appetite);
    this.appetite -= n;
    this.got = concat([this.got, part.slice(0, n)]);
    return n;
  }

  #takeEnd(): void {
    if (this.client.isAtEnd) this.client.consumeEnd();
  }
}
