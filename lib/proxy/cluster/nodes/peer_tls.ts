import { checkServerIdentity, connect, createServer, type TLSSocket } from "node:tls";
import type { ClusterTls } from "../../../config/types.ts";
import type { SocketLink } from "../../../link/engine/engine.ts";
import { type Flow, flowIn } from "../../../link/flow.ts";
import { holdBack } from "../../../link/hold_back.ts";
import { type Link, reasonOf } from "../../../link/link.ts";
import { LinkStream } from "../../../link/link_stream.ts";
import { StreamLink } from "../../../link/stream.ts";
import { tlsFailure } from "../../../link/trust.ts";
import { PeerError } from "./peer_error.ts";

/** Which end of a connection this one is. */
export type PeerEnd = "dialling" | "dialled";

/** How what came is no record of TLS. */
const NO_TLS = /InvalidContentType|wrong version number/;
const BROKEN_OFF = "it broke off the handshake of TLS";

/** What both ends have. Each connection reads the certificates anew, so that the newest count. */
const optionsOf = ({ ca, cert, key }: ClusterTls) => ({ ca, cert, key, minVersion: "TLSv1.3" }) as const;

/** TLS with a peer, whose certificate was verified. */
class PeerTlsLink extends StreamLink {
  readonly carriedBy: Flow | undefined;
  readonly #socket: SocketLink;
  readonly #bare: LinkStream;

  constructor(tls: TLSSocket, bare: LinkStream, socket: SocketLink) {
    super(tls);
    this.carriedBy = flowIn(socket);
    this.#socket = socket;
    this.#bare = bare;
  }

  override close(): void {
    super.close();
    // Also when the other end takes nothing.
    this.#bare.destroy();
  }

  reset(): void {
    this.#socket.reset();
    this.close();
  }
}

/**
 * TLS over a connection that this end has made, or accepted: a link that owns it, with the contract of one without TLS. Rejects with
 * `PeerError` when the other end has no certificate that the authority has signed for `tls.name`, or does not take ours, which the dialling
 * end may see only by the end of the link; and with the signal's reason. Then `socket` is closed. `most`: about the most bytes that
 * TLS reads ahead, at the end that dials; missing: as much as it sees fit.
 */
export async function secure(
  socket: SocketLink,
  tls: ClusterTls,
  end: PeerEnd,
  signal: AbortSignal,
  most?: number,
): Promise<Link> {
  const bare = new LinkStream(socket, { allowHalfOpen: true, ...(most && { most }) });
  const { promise, resolve, reject } = Promise.withResolvers<Link>();
  const onSecure = (stream: TLSSocket) => {
    try {
      verify(stream, tls.name);
      // At once, so that nothing is missed that comes then.
      holdBack(stream, bare);
      resolve(new PeerTlsLink(stream, bare, socket));
    } catch (error) {
      reject(error);
    }
  };
  const giveUp = () => reject(signal.reason);
  signal.addEventListener("abort", giveUp);
  // Which TLS may not tell of.
  bare.once("end", () => reject(new Error(BROKEN_OFF)));
  try {
    signal.throwIfAborted();
    (end === "dialling" ? asClient : asServer)(bare, tls, { most, onSecure, onError: reject });
    return await promise;
  } catch (error) {
    bare.destroy();
    throw signal.aborted ? signal.reason : peerErrorOf(error, tls.name);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** What a handshake comes to: one of both, and then errors that are of no interest. */
interface Handshake {
  /** The most bytes to read ahead, at the end that dials. */
  most: number | undefined;
  onSecure: (stream: TLSSocket) => void;
  onError: (error: unknown) => void;
}

function asClient(bare: LinkStream, tls: ClusterTls, { most, onSecure, onError }: Handshake): void {
  const options = { ...optionsOf(tls), servername: tls.name, ...(most && { highWaterMark: most }) };
  // It takes any stream, whatever its types say.
  const stream = connect({ ...options, socket: bare as never });
  stream.once("secureConnect", () => onSecure(stream));
  stream.on("error", onError);
}

/** By a server that listens nowhere: a `TLSSocket` by itself asks for a certificate, but verifies none. */
function asServer(bare: LinkStream, tls: ClusterTls, { onSecure, onError }: Handshake): void {
  const server = createServer({ ...optionsOf(tls), requestCert: true, rejectUnauthorized: true });
  server.once("secureConnection", onSecure);
  server.on("tlsClientError", (error, { authorizationError: fault }) => onError(fault ? untrusted(fault) : error));
  server.emit("connection", bare);
}

/** Whatever was verified in the handshake: the other end has a certificate that is good, and it is for that name. */
function verify(stream: TLSSocket, name: string): void {
  if (!stream.authorized) throw untrusted(stream.authorizationError);
  const fault = checkServerIdentity(name, stream.getPeerCertificate());
  if (fault) throw fault;
}

function untrusted(fault: unknown): PeerError {
  return new PeerError("rejected", `its certificate is not taken (${reasonOf(fault)})`);
}

/** The connection may break, or be cut, in the middle; all else is of the certificates, or no TLS at all. */
function peerErrorOf(error: unknown, name: string): PeerError {
  if (error instanceof PeerError) return error;
  const isBroken = ["ECONNRESET", "EPIPE"].includes((error as { code?: string }).code ?? "");
  if (isBroken || reasonOf(error) === BROKEN_OFF) return new PeerError("unreachable", BROKEN_OFF, { cause: error });
  const reason = NO_TLS.test(reasonOf(error))
    ? "it speaks without TLS, and cluster.tls is set here"
    : tlsFailure(error, name).message;
  return new PeerError("rejected", reason, { cause: error });
}
