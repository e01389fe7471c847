import { publicKey, sharedSecret } from "../dh64.ts";
import type { RequestOptions } from "../handshake.ts";
import { type Dialect, formatMessage, formatResumeAnswer, type NewRequest, parseNewAnswer } from "../message.ts";
import type { SessionOptions } from "../session.ts";
import {
  FLAG_VERSION_2,
  formatOffer,
  formatProof,
  formatTerms,
  type Offer,
  parseTerms,
  type Proof,
  type Terms,
} from "./message.ts";
import { AckedSession } from "./session.ts";

const TWO_TO_32 = 2 ** 32;

/** What the proxy brings to a new session of version 2. */
export interface AcceptOfferOptions {
  /** 1 to 2^32-1, fresh. */
  id: number;
  /** 64 bits from a cryptographic generator, not 0. */
  privateKey: bigint;
  dialect: Dialect;
  /** The most bytes of frames that are kept to be sent again. */
  cacheSize: number;
  terms: Terms;
}

/** The proxy's part of a new session: the session, and the content of the record that answers the request with that offer. */
export function acceptOffer(
  request: NewRequest,
  offer: Offer,
  { id, privateKey, dialect, cacheSize, terms }: AcceptOfferOptions,
): { session: AckedSession; answer: string } {
  const secret = sharedSecret(privateKey, request.key);
  const sizes = { cacheSize, window: terms.window, peerWindow: offer.window };
  return {
    session: new AckedSession({ id, secret, dialect, ...sizes }),
    answer: `${formatMessage({ id, key: publicKey(privateKey) })}\n${formatTerms(terms)}`,
  };
}

/** What a client brings that offers version 2. */
export interface OfferOptions extends RequestOptions {
  offer: Offer;
}

/** What came of an offer: a session of version 2, when it was taken; or what one of version 1 starts from. */
export type Offered = { session: AckedSession; terms: Terms; version1?: undefined } | {
  session?: undefined;
  terms?: undefined;
  version1: Omit<SessionOptions, "cacheSize">;
};

/**
 * The client's part of a new session: the content of the record that asks for one, and what makes the session of the content of the
 * record that answers, which throws `ScpError` 400 when that is not an answer.
 */
export function requestWithOffer(options: OfferOptions): { content: string; finish(answer: string): Offered } {
  const { privateKey, target, flag, dialect, cacheSize, offer } = options;
  const request = { kind: "new", key: publicKey(privateKey), target, flag: (flag | FLAG_VERSION_2) >>> 0 } as const;
  return {
    content: `${formatMessage(request)}\n${formatOffer(offer)}`,
    finish: (answer) => {
      const { id, key } = parseNewAnswer(answer);
      const secret = sharedSecret(privateKey, key);
      const terms = parseTerms(answer);
      if (!terms) return { version1: { id, secret, dialect } };
      const sizes = { cacheSize, window: offer.window, peerWindow: terms.window };
      return { session: new AckedSession({ id, secret, dialect, ...sizes }), terms };
    },
  };
}

/** The content of the record of a resume request; `value`: the position up to which was received. */
export function resumeContent(id: number, index: number, proof: Proof): string {
  const version1 = formatMessage({ kind: "resume", id, index, received: proof.value % TWO_TO_32, hmac: 0n });
  return `${version1}\n${formatProof(proof)}`;
}

/** The content of the record that answers one that is taken; `value`: the position up to which was received. */
export function resumedContent(dialect: Dialect, proof: Proof): string {
  const version1 = formatResumeAnswer({ received: proof.value % TWO_TO_32, code: 200 }, dialect);
  return `${version1}\n${formatProof(proof)}`;
}

/** The content of the record that answers one for a session that has ended; `value`: how, see `END`. */
export function goneContent(dialect: Dialect, proof: Proof): string {
  return `${formatResumeAnswer({ received: 0, code: 410 }, dialect)}\n${formatProof(proof)}`;
}
