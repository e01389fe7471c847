import type { Flaky, FlakyOptions } from "../../lib/tools/flaky/flaky.ts";
import type { Link } from "../../lib/link/link.ts";
import { CuttingLink, FIRST_HANDSHAKE } from "./cutting_link.ts";
import { flakyTo } from "./flaky.ts";
import type { Random } from "./random.ts";
import { tcp } from "./raw_client.ts";

/** A resume's request and its answer have about so many bytes in each version: between the half and the whole it is cut in one. */
const HANDSHAKE = 60;
const HANDSHAKE_2 = 160;

type Hurt = Pick<FlakyOptions, "cutAfterBytes" | "rst" | "stall">;

/** Relays to an address, each of which hurts in another way; a client goes through another one with each connection. */
export class Hazards implements AsyncDisposable {
  /** How often each relay has cut a connection. */
  readonly cuts: number[] = [];
  readonly #relays: (Flaky & AsyncDisposable)[] = [];
  readonly #cutWithin: number;

  private constructor(cutWithin: number) {
    this.#cutWithin = cutWithin;
  }

  /** `cutWithin`: the most bytes, both ways together, that a connection carries. */
  static start(address: string, cutWithin: number, random: Random): Hazards {
    const hazards = new Hazards(cutWithin);
    const hurts: Hurt[] = [
      { cutAfterBytes: cutWithin }, // the first, which a session begins over
      { cutAfterBytes: cutWithin, rst: true },
      { cutAfterBytes: cutWithin, stall: 5 },
      { cutAfterBytes: cutWithin, rst: true, stall: 5 },
      // Never by an end of stream, which right after an answer of 200 is the session's end.
      { cutAfterBytes: HANDSHAKE, rst: true },
      { cutAfterBytes: HANDSHAKE_2, rst: true, stall: 5 },
    ];
    for (const [i, hurt] of hurts.entries()) {
      hazards.cuts.push(0);
      const tell = (line: string) => void (/: cut after/.test(line) && hazards.cuts[i]!++);
      hazards.#relays.push(flakyTo(address, { ...hurt, seed: random.int(0, 2 ** 32 - 1), tell }));
    }
    return hazards;
  }

  /**
   * Dials a session's connections. Some of them the client abandons by itself after some bytes: it does not close such a
   * one, which the other end finds open when the client comes again, until the next but one is there.
   */
  dialer(abandon: number, random: Random): { dial: () => Promise<Link>; bury: () => void } {
    const links: CuttingLink[] = [];
    const dial = async () => {
      const first = links.length === 0;
      const { address } = this.#relays[first ? 0 : random.int(0, this.#relays.length - 1)]!;
      const abandoned = random.next() < abandon;
      const after = (first ? FIRST_HANDSHAKE : 0) + random.int(1, this.#cutWithin);
      links.at(-2)?.bury();
      links.push(new CuttingLink(await tcp(address), abandoned ? after : Infinity, abandoned));
      return links.at(-1)!;
    };
    return { dial, bury: () => links.forEach((link) => link.bury()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.stop()));
  }
}
