import type { FlowingLink } from "../../link/flow.ts";
import { ScpError } from "../../scp/error.ts";
import { parseResumeAnswer } from "../../scp/message.ts";
import { encodeRecord } from "../../scp/record.ts";
import {
  type AckedSession,
  goneProofText,
  parseAnswerProof,
  resumeContent,
  resumedProofText,
  resumeProofText,
} from "../../scp/v2/mod.ts";
import type { FlowingOptions } from "../connection_options.ts";
import { exchange } from "../exchange.ts";
import type { ResumeKey } from "./resume_key.ts";

export interface ResumeRequestOptions extends Pick<FlowingOptions, "dial" | "handshakeTimeout"> {
  session: AckedSession;
  key: ResumeKey;
  /** Gives it up. */
  signal: AbortSignal;
  /** Called when the link is there: from then on, nothing more may be received by the session. What it throws is thrown. */
  onLink?: () => void;
  /** Called before the request is sent. */
  onAsk?: () => void;
}

/** What the server said, and proved: the session goes on over the link, which the caller owns; or how it has ended, see `END`. */
export type ResumeAnswer = { link: FlowingLink; received: number; rest: Uint8Array } | {
  link?: undefined;
  end: number;
};

/**
 * Asks to resume over another link. Rejects with an `ScpError` when that is refused by who need not be the server, and with whatever
 * else went wrong. The index of the request is used up, whatever comes of it.
 */
export async function requestResume(options: ResumeRequestOptions): Promise<ResumeAnswer> {
  const { session, key, signal, onLink, onAsk } = options;
  let index = 0;
  const record = async () => {
    onLink?.();
    const { id, received } = session;
    index = session.nextIndex();
    const mac = await key.sign(resumeProofText(id, index, received));
    signal.throwIfAborted();
    if (session.received !== received) throw new Error("more was received than the request says");
    onAsk?.();
    return encodeRecord(resumeContent(id, index, { value: received, mac }));
  };
  const { link, content, rest } = await exchange(record, options, signal);
  try {
    const { isGone, value } = await checked(content, index, key);
    if (!isGone) return { link, received: value, rest };
    link.close();
    return { end: value };
  } catch (error) {
    link.close();
    throw error;
  }
}

/** What the answer says, when it proves that it is the server's. */
async function checked(content: string, index: number, key: ResumeKey): Promise<{ isGone: boolean; value: number }> {
  const { code } = parseResumeAnswer(content);
  const isGone = code === 410;
  if (code !== 200 && !isGone) throw new ScpError(code, "a resume was refused, by whoever it was");
  const proof = parseAnswerProof(content);
  if (!proof) throw new Error("the answer to a resume is one of version 1");
  const { value, mac } = proof;
  const text = isGone ? goneProofText(index, value) : resumedProofText(index, value);
  if (await key.verify(text, mac)) return { isGone, value };
  throw new Error("the HMAC of the answer to a resume is wrong: it is not the server's");
}
