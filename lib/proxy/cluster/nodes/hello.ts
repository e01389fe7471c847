import { randomBytes } from "node:crypto";
import * as v from "valibot";
import type { ClusterOptions } from "../../../config/types.ts";
import { MAX_RECORD } from "../../../scp/mod.ts";
import {
  answerForm,
  challengeForm,
  helloForm,
  type PeerIdentity,
  type PeerTarget,
  versionForm,
} from "./hello_forms.ts";
import { PeerError, type PeerFault } from "./peer_error.ts";
import type { PeerKind } from "./peers.ts";
import { jsonIn, sealed, unsealed } from "./sealed.ts";

// Three messages, each the content of a record: the challenge of the side that is dialled, which is JSON; the hello of the side that
// dials; and the answer. See `sealed.ts` for these two.

/** The newest version, and the oldest, of what peers say to each other, that is spoken here. */
export const VERSION = 1;
const OLDEST = 1;

/** Bytes by chance, which make each handshake another one. */
const NONCE = 32;

/** The most characters that are repeated of a text that a peer has chosen. */
const LONGEST_QUOTE = 40;

/** What the dialling side says. */
export interface Hello {
  from: PeerIdentity;
  to: PeerTarget;
  kind: PeerKind;
}

/** What must fit at both ends. */
export type HelloOptions = Pick<ClusterOptions, "name" | "slots" | "threads" | "secrets">;

/** Whether a slot is this node's, in that epoch; without one: in any. */
export type Owns = (slot: number, epoch?: number) => boolean;

/** Why a hello is not taken: in a sentence that holds at both ends, and what the dialling side is to make of it. */
export interface Refusal {
  code: Exclude<PeerFault, "refused" | "unreachable">;
  reason: string;
}

/** What becomes of a hello, and which secret it was said with. When it is taken, `v` is spoken. */
export type Verdict =
  & { secret: string | undefined }
  & ({ hello: Hello; v: number; refusal?: never } | { refusal: Refusal });

/** A new challenge. */
export function challenge(): string {
  return JSON.stringify({ v: VERSION, nonce: newNonce() });
}

/**
 * A hello to who has said that challenge, and the version that is to be spoken. Throws `PeerError` when it is none, or too old, and
 * when what is to be said does not go into a record.
 */
export function helloOf(
  challenge: string,
  hello: Hello,
  { name: cluster, slots, threads, secrets }: HelloOptions,
): { content: string; v: number } {
  const { v: highest } = read(challengeForm, challenge, "what it says first is no challenge of a peer");
  if (highest < OLDEST) throw new PeerError("rejected", tooOld(highest));
  const version = Math.min(VERSION, highest);
  const json = asciiOf({ v: version, cluster, layout: { slots, threads }, ...hello, nonce: newNonce() });
  const content = sealed("hello", [challenge], json, secrets[0]);
  if (content.length <= MAX_RECORD) return { content, v: version };
  throw new PeerError(
    "rejected",
    `cluster.name is too long, or the own address: a hello has at most ${MAX_RECORD} bytes`,
  );
}

/** What becomes of a hello at the node `self`. */
export function verifyHello(
  challenge: string,
  content: string,
  options: HelloOptions,
  self: { identity: PeerIdentity; owns: Owns },
): Verdict {
  const said = unsealed("hello", [challenge], content, options.secrets);
  if (!said) return { secret: undefined, refusal: rejected(noSecret(options)) };
  try {
    return { secret: said.secret, ...judged(said.json, options, self) };
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    return { secret: said.secret, refusal: rejected(error.message) };
  }
}

/** Throws `PeerError` for what is no hello of a version that is spoken. */
function judged(
  json: string,
  { name, slots, threads }: HelloOptions,
  { identity, owns }: { identity: PeerIdentity; owns: Owns },
): { hello: Hello; v: number } | { refusal: Refusal } {
  // First: in another version the rest may look different.
  const { v: version } = read(versionForm, json, "its hello says no version");
  if (version < OLDEST) throw new PeerError("rejected", tooOld(version));
  if (version > VERSION) throw new PeerError("rejected", `its version is ${version}, where ${VERSION} was the newest`);
  const { cluster, layout, from, to, kind } = read(helloForm, json, "its hello does not say what it must");
  const refusal = differing("name of the cluster", quoted(name), quoted(cluster)) ??
    differing("number of slots", slots, layout.slots) ??
    differing("number of threads", threads, layout.threads) ??
    misplaced(from, slots) ??
    (from.instance === identity.instance ? { code: "self" as const, reason: "both are one process" } : undefined) ??
    misled(to, owns);
  return refusal ? { refusal } : { hello: { from, to, kind }, v: version };
}

/** What is answered to a hello, by the node `self`. */
export function answerOf(challenge: string, hello: string, verdict: Verdict, self: PeerIdentity): string {
  const said = verdict.refusal ? { ok: false, ...verdict.refusal } : { ok: true, v: verdict.v, from: self };
  return sealed("answer", [challenge, hello], asciiOf(said), verdict.secret);
}

/** Who has answered that to a hello of that version. Throws `PeerError` when it does not take the hello, or is no peer. */
export function verifyAnswer(
  challenge: string,
  hello: { content: string; v: number },
  content: string,
  { secrets, slots }: HelloOptions,
): PeerIdentity {
  const said = unsealed("answer", [challenge, hello.content], content, secrets);
  const answer = read(answerForm, said?.json ?? jsonIn(content), "what it answers is no answer of a peer");
  // Whoever says so without a secret: nothing else may come of it.
  if (!said) throw new PeerError("rejected", answer.ok ? "it knows none of our secrets" : refused(answer.reason));
  if (!answer.ok) throw new PeerError(answer.code, refused(answer.reason));
  if (answer.v !== hello.v) {
    throw new PeerError("rejected", `it answers in version ${answer.v}, where ${hello.v} is spoken`);
  }
  const refusal = misplaced(answer.from, slots);
  if (refusal) throw new PeerError(refusal.code, refusal.reason);
  return answer.from;
}

/** Why the one that `owns` is asked is not meant. */
function misled({ slot, epoch }: PeerTarget, owns: Owns): Refusal | undefined {
  if (slot === undefined || owns(slot, epoch)) return undefined;
  if (epoch === undefined || !owns(slot)) return { code: "elsewhere", reason: `slot ${slot} is another node's` };
  return { code: "gone", reason: `epoch ${epoch} of slot ${slot} is no more` };
}

function misplaced({ slot = 0 }: PeerIdentity, slots: number): Refusal | undefined {
  return slot < slots ? undefined : rejected(`there are ${slots} slots, and none is ${slot}`);
}

function differing(what: string, dialled: string | number, dialling: string | number): Refusal | undefined {
  if (dialled === dialling) return undefined;
  return rejected(`the ${what} is ${dialled} at the dialled end, and ${dialling} at the dialling end`);
}

function rejected(reason: string): Refusal {
  return { code: "rejected", reason };
}

const refused = (reason: string) => `it refuses: ${reason}`;

const tooOld = (version: number) => `its version is ${version}, and the oldest that is spoken here ${OLDEST}`;

function noSecret({ secrets }: HelloOptions): string {
  return secrets.length > 0
    ? "who dials knows none of the secrets of who is dialled"
    : "who dials has a secret, and who is dialled none";
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, LONGEST_QUOTE));
}

function newNonce(): string {
  return randomBytes(NONCE).toString("base64");
}

/** JSON, in ASCII, as records have it. */
function asciiOf(value: unknown): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What JSON says in that form, and nothing else that it says. Throws `PeerError` with that reason. */
function read<const T extends v.GenericSchema>(form: T, json: string, reason: string): v.InferOutput<T> {
  try {
    return v.parse(form, JSON.parse(json));
  } catch (error) {
    throw new PeerError("rejected", reason, { cause: error });
  }
}
