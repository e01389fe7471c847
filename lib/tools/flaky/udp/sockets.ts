import type { Endpoint } from "../../../link/link.ts";
import { orExplain } from "../../../link/listen.ts";

/** The most bytes of a datagram. */
const LONGEST = 65_535;

/** A socket for datagrams. Throws, when the address cannot be had, why, in one sentence. */
export function openDatagrams({ hostname, port }: Endpoint): Deno.DatagramConn {
  return orExplain({ hostname, port }, () => Deno.listenDatagram({ transport: "udp", hostname, port }));
}

/** Whether it is an IPv6 address. */
export function isIpv6(hostname: string): boolean {
  return hostname.includes(":");
}

/**
 * Gives each datagram that comes, a view that holds during the call, and who sent it, until the socket is closed. Rejects
 * when it breaks. That somebody whom this socket has sent to is not there, which some systems tell here, is no matter.
 */
export async function receiveAll(
  socket: Deno.DatagramConn,
  onDatagram: (datagram: Uint8Array, from: Endpoint) => void,
): Promise<void> {
  const buffer = new Uint8Array(LONGEST);
  for (;;) {
    try {
      const [datagram, from] = await socket.receive(buffer);
      onDatagram(datagram, from as Deno.NetAddr);
    } catch (error) {
      if (error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource) return;
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
  }
}
