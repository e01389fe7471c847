import { socketDialers } from "../../lib/client/socket_dialers.ts";
import type { Link } from "../../lib/link/link.ts";
import { testEngine } from "../helpers/engine.ts";
import { kcp } from "../helpers/kcp_client.ts";
import type { Random } from "../helpers/random.ts";
import { endpoint } from "../helpers/udp.ts";
import { linkOver, openWebSocket } from "../helpers/web_socket.ts";

/** How clients come. */
export const TRANSPORTS = ["tcp", "tls", "ws", "kcp"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/**
 * Has the sockets of TCP and UDP. Deno's are left alone for tens of seconds, with full buffers, when there are many and the machine is busy,
 * as while two proxies run beside it: those of TLS and WebSockets are few.
 */
const ENGINE = testEngine();

/** The part of the sessions that come by each of these; the others come by TCP. */
const PARTS = { tls: 0.15, ws: 0.15, kcp: 0.1 };
/** Milliseconds that TLS has to begin. */
const TIMEOUT = 15_000;
/**
 * Milliseconds without a word of the proxy after which a conversation of KCP is lost: the clients' process may have too much to do, as while
 * another proxy starts beside it.
 */
export const SILENCE = 60_000;

/** One of them by chance. */
export function anyTransport(random: Random): Transport {
  let left = random.next();
  for (const [transport, part] of Object.entries(PARTS)) if ((left -= part) < 0) return transport as Transport;
  return "tcp";
}

/** Opens a link to `host:port`, which can be reset when it is one of TCP. `ca`: who signed the proxy's certificate, in PEM. */
export async function dialBy(
  transport: Transport,
  address: string,
  { ca, random }: { ca: string; random: Random },
): Promise<Link> {
  if (transport === "tcp") return await ENGINE.connect(endpoint(address), {});
  if (transport === "kcp") return await kcp(address, undefined, SILENCE, ENGINE);
  if (transport === "ws") return linkOver(await openWebSocket(address), { next: () => random.next() });
  const dial = socketDialers({ timeout: TIMEOUT, ca })["tls:"]!(new URL(`tls://${address}`));
  return await dial(new AbortController().signal);
}
