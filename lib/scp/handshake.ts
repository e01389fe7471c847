import { publicKey, sharedSecret } from "./dh64.ts";
import {
  type Dialect,
  formatMessage,
  formatResumeAnswer,
  type NewRequest,
  parseNewAnswer,
  type ResumeAnswer,
  type ResumeRequest,
} from "./message.ts";
import { encodeRecord } from "./record.ts";
import { Session } from "./session.ts";

/** What the proxy brings to a new session. */
export interface AcceptOptions {
  /** 1 to 2^32-1, fresh. */
  id: number;
  /** 64 bits from a cryptographic generator, not 0. */
  privateKey: bigint;
  dialect: Dialect;
  cacheSize: number;
}

/** The proxy's part of a new session: the session, and the record that answers the request. */
export function accept(
  request: NewRequest,
  options: AcceptOptions,
): { session: Session; answer: Uint8Array<ArrayBuffer> } {
  const { privateKey, ...rest } = options;
  return {
    session: new Session({ secret: sharedSecret(privateKey, request.key), ...rest }),
    answer: encodeRecord(formatMessage({ id: options.id, key: publicKey(privateKey) })),
  };
}

/** What the client brings to a new session. */
export interface RequestOptions {
  /** 64 bits from a cryptographic generator, not 0. */
  privateKey: bigint;
  /** `[a-zA-Z_0-9]*`. */
  target: string;
  /** See `FLAG_FORBID_ANNOUNCE`. */
  flag: number;
  dialect: Dialect;
  cacheSize: number;
}

/**
 * The client's part of a new session: the record that asks for one, and what makes the session of the content of the
 * record that answers, which throws `ScpError` 400 when that is not an answer.
 */
export function request(options: RequestOptions): { record: Uint8Array<ArrayBuffer>; finish(answer: string): Session } {
  const { privateKey, target, flag, dialect, cacheSize } = options;
  return {
    record: encodeRecord(formatMessage({ kind: "new", key: publicKey(privateKey), target, flag })),
    finish: (answer) => {
      const { id, key } = parseNewAnswer(answer);
      return new Session({ id, secret: sharedSecret(privateKey, key), dialect, cacheSize });
    },
  };
}

/** The record of a resume request. */
export function resumeRecord(request: ResumeRequest): Uint8Array<ArrayBuffer> {
  return encodeRecord(formatMessage(request));
}

/** The record of the answer to a resume request. */
export function answerRecord(answer: ResumeAnswer, dialect: Dialect): Uint8Array<ArrayBuffer> {
  return encodeRecord(formatResumeAnswer(answer, dialect));
}
