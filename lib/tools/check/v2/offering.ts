import { createECDH } from "node:crypto";
import { randomKey } from "../../../client/exchange.ts";
import { ResumeKey } from "../../../proxy/session/v2/resume_key.ts";
import { sharedSecret } from "../../../scp/dh64.ts";
import type { Dialect } from "../../../scp/mod.ts";
import { parseNewAnswer } from "../../../scp/message.ts";
import { LEAST_WINDOW, type Offered, requestWithOffer, type Terms } from "../../../scp/v2/mod.ts";
import { type Link, reasonOf } from "../../../link/link.ts";
import { Broken, type Probe } from "../probe.ts";
import { type Opened, Peer } from "./peer.ts";

/** Bytes. */
const WINDOW = 2 ** 18;

/** An offer of version 2. */
export interface Offering {
  /** The content of the record of the request. */
  content: string;
  /** The window in it. */
  window: number;
  /** What the answer to it makes, or to one that differs in other lines than the second. */
  finish: (answer: string) => Offered;
  /** What the answer says, and what comes of it. Throws `Broken` when it does not take the offer, or is none. */
  take: (answer: string) => Pick<Opened, "id" | "secret" | "terms" | "key">;
}

/** An offer with fresh keys. `more`: what follows its last field. */
export function newOffering(dialect: Dialect, { window = WINDOW, more = "" } = {}): Offering {
  const ecdh = createECDH("prime256v1");
  const offer = { key: new Uint8Array(ecdh.generateKeys()), window };
  const privateKey = randomKey();
  const hello = requestWithOffer({ privateKey, target: "", flag: 0, dialect, offer, cacheSize: 2 ** 20 });
  const { finish } = hello;
  const content = hello.content + more;
  return {
    content,
    window,
    finish,
    take: (answer) => {
      const terms = termsIn(answer, finish);
      const { id, key } = parseNewAnswer(answer);
      const secret = sharedSecret(privateKey, key);
      return { id, secret, terms, key: ResumeKey.of(commonSecret(ecdh, terms.key), content, answer) };
    },
  };
}

function termsIn(answer: string, finish: Offering["finish"]): Terms {
  let terms: Terms | undefined;
  try {
    ({ terms } = finish(answer));
  } catch (error) {
    throw new Broken(`the answer to an offer is ${JSON.stringify(answer)}: ${reasonOf(error)}`);
  }
  if (!terms) throw new Broken("the answer to an offer has no third line");
  return terms;
}

function commonSecret(ecdh: ReturnType<typeof createECDH>, key: Uint8Array): Uint8Array {
  try {
    return ecdh.computeSecret(key);
  } catch {
    throw new Broken("the KEY of the answer is no point of the curve P-256");
  }
}

/** Expects an answer that takes an offer, or is meant to. Throws `Broken` when there is none. */
export async function expectVersion2(probe: Probe): Promise<void> {
  const { answer } = await probe.ask(newOffering(probe.dialect).content);
  const lines = answer.split("\n");
  if (lines.length > 2) return;
  const isTaken = /^[A-Za-z0-9+/]{11}=$/.test(lines[1] ?? "");
  throw new Broken(isTaken ? "the offer was ignored" : `the offer was answered with ${JSON.stringify(answer)}`);
}

/** Opens a session of version 2. */
export async function openPeer(probe: Probe, offering = newOffering(probe.dialect)): Promise<Peer> {
  return takePeer(probe, offering, await probe.ask(offering.content));
}

/** The session of an offer that was answered so. */
export function takePeer(
  probe: Probe,
  { take, window }: Offering,
  { link, answer, rest }: { link: Link; answer: string; rest: Uint8Array },
): Peer {
  return new Peer(probe, { ...take(answer), window, link, rest });
}

/** Opens one whose client has the smallest window. */
export function openNarrow(probe: Probe): Promise<Peer> {
  return openPeer(probe, newOffering(probe.dialect, { window: LEAST_WINDOW }));
}
