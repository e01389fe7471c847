import { formatBase64, parseBase64 } from "./base64.ts";
import { isUsablePublicKey } from "./dh64.ts";
import { type Code, MESSAGES, ScpError } from "./error.ts";

/** How a listener speaks (protocol: Two dialects). `goscon`: ciphered; `plain`: in clear, and `200 OK` for `200`. */
export type Dialect = "goscon" | "plain";

/** Bit 0 of the flag: the backend is not told the client's address. */
export const FLAG_FORBID_ANNOUNCE = 1;

/** The first message of a client that has no session. */
export interface NewRequest {
  kind: "new";
  /** The client's public key, never 0 mod p. */
  key: bigint;
  /** The name of the backend to prefer; may be empty. */
  target: string;
  /** 32 bits: see `FLAG_FORBID_ANNOUNCE`. */
  flag: number;
}

/** What a client that has a session says to go on with it. */
export interface ResumeRequest {
  kind: "resume";
  /** 1 to 2^32-1. */
  id: number;
  index: number;
  /** Bytes received from the proxy in this session, mod 2^32. */
  received: number;
  hmac: bigint;
}

/** The proxy's answer to a `NewRequest`. */
export interface NewAnswer {
  /** 1 to 2^32-1. */
  id: number;
  /** The proxy's public key, never 0 mod p. */
  key: bigint;
}

/** The proxy's answer to a `ResumeRequest`, and to whatever it refuses. */
export interface ResumeAnswer {
  /** Bytes received from the client in this session, mod 2^32; 0 unless the code is 200. */
  received: number;
  code: Code;
}

/** The content of the record of any message but a `ResumeAnswer`. */
export function formatMessage(message: NewRequest | ResumeRequest | NewAnswer): string {
  if (!("kind" in message)) return `${message.id}\n${formatU64(message.key)}`;
  if (message.kind === "new") return `0\n${formatU64(message.key)}\n${message.target}\n${message.flag}`;
  return resumeText(message) + formatU64(message.hmac);
}

/** What the hmac of a resume request is taken of: its first three lines. */
export function resumeText({ id, index, received }: Omit<ResumeRequest, "kind" | "hmac">): string {
  return `${id}\n${index}\n${received}\n`;
}

/** The content of the record of a `ResumeAnswer`. */
export function formatResumeAnswer({ received, code }: ResumeAnswer, dialect: Dialect): string {
  return `${received}\n${code}${dialect === "plain" ? " " + MESSAGES[code] : ""}`;
}

/** Reads what a client may say first. Throws `ScpError` 400. Lines after those of the message are ignored. */
export function parseRequest(content: string): NewRequest | ResumeRequest {
  const [first, second, third, fourth] = content.split("\n");
  if (first === "0") {
    const target = third ?? "";
    if (!/^[a-zA-Z_0-9]*$/.test(target)) {
      throw new ScpError(400, "the targetServer is not made of letters, digits and _");
    }
    return { kind: "new", key: parseKey(second), target, flag: fourth === undefined ? 0 : parseU32(fourth, "flag") };
  }
  return {
    kind: "resume",
    id: parseId(first),
    index: parseU32(second, "index"),
    received: parseU32(third, "received"),
    hmac: parseU64(fourth, "hmac"),
  };
}

/** Reads the answer to a `NewRequest`. Throws `ScpError` 400. Further lines are ignored. */
export function parseNewAnswer(content: string): NewAnswer {
  const [id, key] = content.split("\n");
  return { id: parseId(id), key: parseKey(key) };
}

/** Reads the answer to a `ResumeRequest`, in either dialect. Throws `ScpError` 400. Further lines are ignored. */
export function parseResumeAnswer(content: string): ResumeAnswer {
  const [received, status] = content.split("\n");
  const code = Number(/^(\d{3})(?: .*)?$/.exec(status ?? "")?.[1]);
  if (!(code in MESSAGES)) throw new ScpError(400, "the answer's code is none of the protocol's");
  return { received: parseU32(received, "received"), code: code as Code };
}

function parseU32(text: string | undefined, what: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text ?? "") || value >= 2 ** 32) {
    throw new ScpError(400, `the ${what} is not a decimal number of 32 bits`);
  }
  return value;
}

function parseId(text: string | undefined): number {
  const id = parseU32(text, "id");
  if (id === 0) throw new ScpError(400, "the id is 0");
  return id;
}

function parseKey(text: string | undefined): bigint {
  const key = parseU64(text, "public key");
  if (!isUsablePublicKey(key)) throw new ScpError(400, "the public key is 0 mod p");
  return key;
}

function parseU64(text: string | undefined, what: string): bigint {
  return new DataView(parseBase64(text, 8, what).buffer).getBigUint64(0, true);
}

function formatU64(value: bigint): string {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, value, true);
  return formatBase64(new Uint8Array(bytes.buffer));
}
