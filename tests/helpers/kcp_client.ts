import { DenoEngine } from "../../lib/link/engine/deno_engine.ts";
import type { Engine } from "../../lib/link/engine/engine.ts";
import { ReedSolomon } from "../../lib/link/kcp/fec/reed_solomon.ts";
import { dialKcp } from "../../lib/link/kcp/kcp_dial.ts";
import type { Link } from "../../lib/link/link.ts";
import { datagramOf, type Segment, segmentsOf, type Wanted } from "./kcp_stage.ts";
import { endpoint, UdpSocket } from "./udp.ts";

const DENO = new DenoEngine();

/**
 * Begins a conversation of KCP with `host:port`; `fec`: data and parity; `silence`: see `KcpDialOptions`; `engine`: has the socket, by
 * default Deno.
 */
export function kcp(address: string, fec?: [number, number], silence = 0, engine: Engine = DENO): Promise<Link> {
  return dialKcp(endpoint(address), {
    open: (to) => engine.connectDatagrams(to, {}),
    fec: fec && new ReedSolomon(...fec),
    silence,
  });
}

/** A client that sends and acknowledges only what a test says. */
export class BareKcp extends UdpSocket {
  readonly #proxy: string;

  constructor(proxy: string) {
    super();
    this.#proxy = proxy;
  }

  /** Sends these in one datagram. */
  say(...segments: Wanted[]): Promise<void> {
    return this.send(datagramOf(...segments), this.#proxy);
  }

  /** The next segment of that kind that comes. */
  async next(wanted: Segment["command"]): Promise<Segment> {
    for (;;) {
      const found = segmentsOf((await this.receive()).bytes).find(({ command }) => command === wanted);
      if (found) return found;
    }
  }
}
