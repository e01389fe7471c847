import type { ClusterOptions } from "../../../config/types.ts";
import { dial, type DialOptions } from "../../../link/dial.ts";
import { KEEP_ALIVE, type SocketLink } from "../../../link/engine/engine.ts";
import { type Endpoint, type Link, readDecoded, reasonOf, writeAll } from "../../../link/link.ts";
import { decodeRecord, encodeRecord, ScpError } from "../../../scp/mod.ts";
import { answerOf, challenge, type Hello, helloOf, type Owns, verifyAnswer, verifyHello } from "./hello.ts";
import type { PeerIdentity, PeerTarget } from "./hello_forms.ts";
import { PeerError } from "./peer_error.ts";
import { type PeerEnd, secure } from "./peer_tls.ts";
import type { PeerKind } from "./peers.ts";

/** How long a stranger may take to become a peer, in milliseconds. */
const GREETING_TIMEOUT = 5000;

/** Said to one that says nothing, as one does that waits for TLS: that one then sees that there is none. */
const BARE = encodeRecord("without TLS");
/** How TLS begins: a handshake, of version 3.x. */
const [TLS_HANDSHAKE, TLS_VERSION] = [0x16, 3];

/** What peers have in common. Those of the moment count for each connection. */
export type PeerOptions = Pick<ClusterOptions, "name" | "slots" | "threads" | "secrets" | "tls">;

/** A connection to a peer, which is the caller's. */
interface Met {
  link: Link;
  /** Who is at the other end. */
  from: PeerIdentity;
  /** The version that is spoken. */
  v: number;
  /** Bytes that came with the handshake, and are to be read before those of `link`. */
  rest: Uint8Array;
}

/** A connection to a peer that answered. */
export type PeerConnection = Met;

/** A connection of a peer that dialled. */
export type Greeted = Met & Omit<Hello, "from">;

export interface DialPeerOptions extends Pick<DialOptions, "engine" | "signal" | "receiveBuffer" | "lookup"> {
  addr: Endpoint;
  /** Whom it is for. */
  to: PeerTarget;
  kind: PeerKind;
  options: PeerOptions;
  /** Who dials; asked when it is said. */
  identity: () => PeerIdentity;
  /** Milliseconds for all of it. */
  timeout: number;
}

export interface GreetOptions {
  options: PeerOptions;
  /** Who is dialled; asked when it is said. */
  identity: () => PeerIdentity;
  owns: Owns;
  /** Milliseconds for all of it; missing: `GREETING_TIMEOUT`. */
  timeout?: number;
}

/** Connects to a peer, and has it prove that it is one. Rejects with `PeerError`; then nothing is left open. */
export async function dialPeer({ addr, timeout, signal, ...options }: DialPeerOptions): Promise<PeerConnection> {
  const { engine, lookup, options: { tls } } = options;
  /** Without TLS, while it is to speak first. */
  let silent: Link | undefined;
  const onLate = () => {
    if (!silent) return "";
    void writeAll(silent, BARE).catch(() => {});
    return ": it says nothing, as one with cluster.tls would, which is not set here";
  };
  return await inTime({ timeout, signal, onLate }, async (signal) => {
    // With TLS about half of what may be held is in there.
    const receiveBuffer = options.receiveBuffer && (tls ? Math.ceil(options.receiveBuffer / 2) : options.receiveBuffer);
    const dialling = { timeout, signal, engine, receiveBuffer, lookup, keepAlive: KEEP_ALIVE };
    const socket = await dial({ kind: "tcp", ...addr }, dialling).catch((error) => Promise.reject(dialErrorOf(error)));
    silent = tls ? undefined : socket;
    const onHeard = () => silent = undefined;
    return await closingIfNot(socket, signal, () => introduce(socket, { ...options, receiveBuffer, onHeard }, signal));
  });
}

/**
 * Has one that has connected prove that it is a peer, and proves the same; the connection goes to the caller, or is closed. Rejects with
 * `PeerError`, whose kind is what the other end was told, or `unreachable`, when it broke off.
 */
export async function greet(socket: SocketLink, options: GreetOptions): Promise<Greeted> {
  return await inTime(
    { timeout: options.timeout ?? GREETING_TIMEOUT },
    (signal) => closingIfNot(socket, signal, () => receive(socket, options, signal)),
  );
}

async function introduce(
  socket: SocketLink,
  { to, kind, options, identity, receiveBuffer, onHeard }: Omit<DialPeerOptions, "addr" | "timeout"> & {
    onHeard: () => void;
  },
  signal: AbortSignal,
): Promise<Met> {
  const link = await provable(socket, { ...options, receiveBuffer }, "dialling", signal);
  const first = await nextRecord(link).catch((error) => Promise.reject(options.tls ? refusalOf(error) : error));
  onHeard();
  const hello = helloOf(first.content, { from: identity(), to, kind }, options);
  await writeAll(link, encodeRecord(hello.content));
  const { content, rest } = await nextRecord(link, first.rest);
  return { link, from: verifyAnswer(first.content, hello, content, options), v: hello.v, rest };
}

async function receive(
  socket: SocketLink,
  { options, identity, owns }: GreetOptions,
  signal: AbortSignal,
): Promise<Greeted> {
  const link = await provable(socket, options, "dialled", signal);
  const said = challenge();
  await writeAll(link, encodeRecord(said));
  const { content, rest } = await nextRecord(link);
  const self = identity();
  const verdict = verifyHello(said, content, options, { identity: self, owns });
  await writeAll(link, encodeRecord(answerOf(said, content, verdict, self)));
  if (verdict.refusal) throw new PeerError(verdict.refusal.code, verdict.refusal.reason);
  return { link, ...verdict.hello, v: verdict.v, rest };
}

/** With TLS, or without, where there is a secret: nobody is a peer just for saying so, whatever the configuration was checked for. */
async function provable(
  socket: SocketLink,
  options: PeerOptions & Pick<DialOptions, "receiveBuffer">,
  end: PeerEnd,
  signal: AbortSignal,
): Promise<Link> {
  if (options.tls) return await secure(socket, options.tls, end, signal, options.receiveBuffer);
  if (options.secrets.length > 0) return socket;
  throw new PeerError("rejected", "there is neither cluster.tls nor cluster.secrets");
}

/** The next record that comes. */
async function nextRecord(link: Link, before?: Uint8Array): Promise<{ content: string; rest: Uint8Array }> {
  const record = await readDecoded(link, decodeGreeting, { before });
  if (!record) throw new PeerError("unreachable", "it closed the connection before it had proved who it is");
  return { content: record.value.content, rest: record.rest };
}

function decodeGreeting(bytes: Uint8Array): ReturnType<typeof decodeRecord> {
  // As a record it would be too long.
  if (bytes[0] === TLS_HANDSHAKE && bytes[1] === TLS_VERSION) {
    throw new PeerError("rejected", "it speaks TLS, and cluster.tls is not set here");
  }
  return decodeRecord(bytes);
}

/** One that does not take our certificate closes, when for us the handshake of TLS is over. */
function refusalOf(error: unknown): PeerError {
  return new PeerError("rejected", `it may not take our certificate: ${reasonOf(error)}`, { cause: error });
}

/** Closes the link when `work` fails, or the signal is aborted before it is done. */
async function closingIfNot<T>(link: Link, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const giveUp = () => link.close();
  signal.addEventListener("abort", giveUp);
  try {
    signal.throwIfAborted();
    const value = await work();
    signal.throwIfAborted();
    return value;
  } catch (error) {
    link.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/**
 * Aborts the signal that `work` gets when the time is over, or it is given up, and rejects with that, whatever else goes wrong then.
 * `onLate` is called when the time is over, and gives what else there is to say.
 */
async function inTime<T>(
  { timeout, signal, onLate = () => "" }: { timeout: number; signal?: AbortSignal | undefined; onLate?: () => string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const stop = (reason: string) => abort.abort(new PeerError("unreachable", reason));
  const giveUp = () => stop("given up");
  const timer = setTimeout(() => stop(`no peer has answered within ${timeout} ms${onLate()}`), timeout);
  signal?.addEventListener("abort", giveUp);
  if (signal?.aborted) giveUp();
  try {
    return await work(abort.signal);
  } catch (error) {
    throw abort.signal.aborted ? abort.signal.reason : peerErrorOf(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

/** Whoever says something that is no record is no peer; everything else that goes wrong is the connection. */
function peerErrorOf(error: unknown): PeerError {
  if (error instanceof PeerError) return error;
  const kind = error instanceof ScpError ? "rejected" : "unreachable";
  return new PeerError(kind, reasonOf(error), { cause: error });
}

function dialErrorOf(error: unknown): PeerError {
  return new PeerError(isRefused(error) ? "refused" : "unreachable", reasonOf(error), { cause: error });
}

/** Whether nobody listens at any of the addresses. */
function isRefused(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isRefused);
  if (!(error instanceof Error)) return false;
  return (error as { code?: string }).code === "ECONNREFUSED" || isRefused(error.cause);
}
