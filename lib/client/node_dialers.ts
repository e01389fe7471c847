import { connect, isIP, type Socket } from "node:net";
import tls from "node:tls";
import type { Link } from "../link/link.ts";
import { StreamLink } from "../link/stream.ts";
import { checkCa, tlsFailure, type TlsOptions } from "../link/trust.ts";
import { type Dial, type Dialer, hostTarget } from "./dialers.ts";

/** Those of the URLs whose links are sockets of Node's: `tcp://host:port` and `tls://host:port`. */
export function nodeDialers(trust: TlsOptions): Record<string, Dialer> {
  return {
    "tcp:": (url) => {
      const target = { ...hostTarget(url), allowHalfOpen: true };
      return (signal) => opened(() => connect(target), "connect", signal);
    },
    "tls:": (url) => tlsDial(hostTarget(url), trust),
  };
}

/** Settles when the socket says that it is `ready`. Rejects with why it is not, or with the signal's reason. The caller owns the link. */
function opened(open: () => Socket, ready: "connect" | "secureConnect", signal: AbortSignal): Promise<Link> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = open();
    const giveUp = () => socket.destroy(signal.reason);
    signal.addEventListener("abort", giveUp);
    socket.once("error", reject);
    socket.once("close", () => reject(signal.reason));
    socket.once("connect", () => socket.setNoDelay(true).setKeepAlive(true));
    socket.once(ready, () => {
      signal.removeEventListener("abort", giveUp);
      resolve(new StreamLink(socket));
    });
  });
}

function tlsDial(target: { host: string; port: number }, trust: TlsOptions): Dial {
  checkCa(trust);
  const name = trust.servername ?? target.host;
  const options: tls.ConnectionOptions & { allowHalfOpen: boolean } = {
    ...target,
    allowHalfOpen: true,
    // An IP address is not told.
    servername: isIP(name) ? "" : name,
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity(name, certificate),
    secureContext: tls.createSecureContext(trust.ca === undefined ? {} : { ca: [...trusted(), trust.ca] }),
  };
  return async (signal) => {
    let isConnected = false;
    const open = () => tls.connect(options).once("connect", () => isConnected = true);
    try {
      return await opened(open, "secureConnect", signal);
    } catch (error) {
      throw isConnected && !signal.aborted ? tlsFailure(error, name) : error;
    }
  };
}

/** The certificates that Node trusts; before 22.15 it does not tell those of `NODE_EXTRA_CA_CERTS`. */
function trusted(): readonly string[] {
  return tls.getCACertificates?.("default") ?? tls.rootCertificates;
}
