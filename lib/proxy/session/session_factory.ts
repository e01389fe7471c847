import type { Config } from "../../config.ts";
import type { ClientLink, Endpoint } from "../../link/link.ts";
import { accept, type Dialect, encodeRecord, type NewRequest, type Session } from "../../scp/mod.ts";
import { acceptOffer, type AckedSession, type Offer } from "../../scp/v2/mod.ts";
import type { Seams } from "../seams.ts";
import type { BackendRequest } from "../upstream/reach.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import type { CacheBudget } from "./cache/cache_budget.ts";
import type { InFlight } from "./in_flight.ts";
import { ProxySession, type SessionContext, type SessionTerms } from "./session.ts";
import { AckedProxySession, type AckedSessionContext, type AckedSessionTerms } from "./v2/acked_proxy_session.ts";
import { ResumeKey } from "./v2/resume_key.ts";
import type { KeyPair } from "./v2/server_keys.ts";

const NOTHING = new Uint8Array(0);

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
   * Begins it: it owns the link. `onGone`: see `SessionTerms`; `isAnswered`: the answer was written. `secret`: of
   * both keys, where there was an offer.
   */
  begin(options: { onGone: () => void; isAnswered: boolean; secret?: Uint8Array | undefined }): void;
}

/** What sessions are made with. */
export interface FactoryOptions {
  seams: Seams;
  upstreams: Upstreams;
  budget: CacheBudget;
  inFlight: InFlight;
  /** The configuration in effect. */
  config: () => Config;
}

/** Who has the sessions that are made. */
export interface SessionKeeper {
  /** An id that no session has. Throws `ScpError` 501 when there is none. */
  freshId(): number;
  began(session: ProxySession | AckedProxySession): void;
  /** As soon as one of version 1 has ended, once; and one of version 2, with the code of its end. */
  ended: SessionContext["onEnded"];
  ackedEnded: AckedSessionContext["onEnded"];
  /** Instead of these, once: it goes on elsewhere. */
  left: SessionContext["onLeft"];
  /** After either, once: its backend is closed too. */
  closed: SessionContext["onClosed"];
}

/** Makes sessions: new ones, of what clients ask for, and those that go on with what another was. */
export class SessionFactory {
  readonly #options: FactoryOptions;
  readonly #keeper: SessionKeeper;
  readonly #context: SessionContext;
  readonly #ackedContext: AckedSessionContext;

  constructor(options: FactoryOptions, keeper: SessionKeeper) {
    this.#options = options;
    this.#keeper = keeper;
    const { seams: { log, stats, engine }, upstreams, budget, inFlight, config } = options;
    const both = {
      ...{ log, stats, budget },
      connect: (request: BackendRequest) => upstreams.connect(request),
      onClosed: keeper.closed,
      onLeft: keeper.left,
    };
    this.#context = { ...both, inFlight, reuseTime: () => config().scp.reuseTime, onEnded: keeper.ended };
    this.#ackedContext = {
      ...both,
      halfOpenTimeout: () => config().scp.v2.halfOpenTimeout,
      soon: (callback: () => void) => engine.soon(callback),
      onEnded: keeper.ackedEnded,
    };
  }

  /** Prepares a session of version 1, or of version 2 where there is an offer: its keeper knows of it when it is begun. */
  prepare(arrival: Arrival<NewRequest>, offer?: TakenOffer): Prepared {
    return offer ? this.#prepareAcked(arrival, offer) : this.#prepare(arrival);
  }

  /** One of version 1, which is idle. */
  make(session: Session, client: Endpoint, terms: SessionTerms): ProxySession {
    const made = new ProxySession(session, client, terms, this.#context);
    this.#keeper.began(made);
    return made;
  }

  /** The same of version 2. */
  makeAcked(session: AckedSession, client: Endpoint, terms: AckedSessionTerms): AckedProxySession {
    const made = new AckedProxySession(session, client, terms, this.#ackedContext);
    this.#keeper.began(made);
    return made;
  }

  #prepare({ link, dialect, request, rest }: Arrival<NewRequest>): Prepared {
    const { seams: { randomU64, stats }, config } = this.#options;
    const { reuseBuffer: cacheSize } = config().scp;
    const id = this.#keeper.freshId();
    const { session, answer } = accept(request, { id, privateKey: randomU64() || 1n, dialect, cacheSize });
    const begin: Prepared["begin"] = ({ onGone, isAnswered }) => {
      // Its keeper knows it before its answer is sent: the client may resume as soon as it knows the id.
      const made = this.make(session, link.remote, { cacheSize, onGone });
      stats.sessionsBegun++;
      made.run(link, { answer: isAnswered ? NOTHING : answer, rest, target: request.target, flag: request.flag });
    };
    return { id, answer, begin };
  }

  #prepareAcked(
    { link, dialect, request, content, rest }: Arrival<NewRequest>,
    { offer, publicKey }: TakenOffer,
  ): Prepared {
    const { seams: { randomU64, stats }, config } = this.#options;
    const { v2 } = config().scp;
    const { reuseTime, window, cache: cacheSize, pingInterval } = v2;
    const id = this.#keeper.freshId();
    const terms = { key: publicKey, window, ping: pingInterval, reuse: reuseTime };
    const options = { id, privateKey: randomU64() || 1n, dialect, cacheSize, terms };
    const { session, answer } = acceptOffer(request, offer, options);
    const record = encodeRecord(answer);
    const begin: Prepared["begin"] = ({ onGone, isAnswered, secret }) => {
      const key = ResumeKey.of(secret!, content, answer);
      // All sessions of a configuration share it: each would need a copy's memory for as long as it is.
      const made = this.makeAcked(session, link.remote, { key, reuseTime, liveness: v2, onGone });
      stats.sessionsBegun++;
      made.run(link, { answer: isAnswered ? NOTHING : record, rest, target: request.target, flag: request.flag });
    };
    return { id, answer: record, begin };
  }
}
