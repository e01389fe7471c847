import type { DatagramPeer } from "../../../link/engine/udp/datagrams.ts";
import type { Junk } from "../../../link/kcp/kcp_stats.ts";
import { formatEndpoint } from "../../../link/link.ts";
import type { Log } from "../../../log.ts";
import { sparingly } from "../../../sparingly.ts";

/** Milliseconds between two lines: anybody can send anything. */
const EVERY = 10_000;
const NOTHING = {};

/** Says what a socket dropped of what came: how many since the line before, by cause, and who sent the last, as that says itself. */
export class JunkLog {
  #counts: Partial<Record<Junk, number>> = {};
  #last: DatagramPeer | undefined;
  readonly #tell: () => void;

  constructor(log: Log, local: string, now?: () => number) {
    const tell = sparingly(EVERY, () => {
      log.info("datagrams dropped", { local, ...this.#counts, last: this.#last && formatEndpoint(this.#last.remote) });
      this.#counts = {};
    }, now);
    this.#tell = () => tell(NOTHING);
  }

  /** One was dropped. */
  add(cause: Junk, peer: DatagramPeer): void {
    this.#counts[cause] = (this.#counts[cause] ?? 0) + 1;
    this.#last = peer;
    this.#tell();
  }
}
