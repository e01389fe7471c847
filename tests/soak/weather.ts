import type { Link } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import type { Random } from "../helpers/random.ts";
import { tcp } from "../helpers/raw_client.ts";
import { type Fault, FaultyLink, type Way } from "./faulty_link.ts";
import { ResettableLink } from "./resettable_link.ts";
import type { Tally } from "./tally.ts";

/** Of a connection that lives through its handshake, the most bytes that go over it. */
const LONGEST_LIFE = 200_000;
/** Bytes of the handshake of a new session, of which the request is never whole: the backend would have a stranger. */
const IN_NEW_REQUEST = 15;
/** Bytes of the handshake of a resume, by the version of the protocol, and of what is sent again after it. */
const IN_RESUME = { 1: 120, 2: 240 };

/** How connections fare, and where they lead: the doors of each dialect that are open now. */
export class Weather {
  readonly doors: Record<Dialect, string[]>;
  readonly #tally: Tally;
  #calm = false;

  constructor(doors: Record<Dialect, string[]>, tally: Tally) {
    this.doors = doors;
    this.#tally = tally;
  }

  /** From now on no connection breaks. */
  calm(): void {
    this.#calm = true;
  }

  /**
   * Dials the connections of one session of that kind: until `opened` is called, those on which it is to begin. `spared`: bytes that the
   * connection on which it begins takes at least.
   */
  dialer(
    { dialect, version }: { dialect: Dialect; version: 1 | 2 },
    random: Random,
    spared: number,
  ): { dial: () => Promise<Link>; opened: () => void } {
    let isOpen = false;
    const dial = () => {
      const fault = isOpen ? resumeFault(random, IN_RESUME[version]) : newFault(random, spared);
      return this.dial(dialect, random, fault);
    };
    return { dial, opened: () => isOpen = true };
  }

  /** Opens a connection through one of the doors, which is to break so. */
  async dial(dialect: Dialect, random: Random, fault: Fault): Promise<Link> {
    const doors = this.doors[dialect];
    const door = doors[random.int(0, doors.length - 1)]!;
    const link = fault.way === "reset" ? await ResettableLink.open(door) : await tcp(door);
    return new FaultyLink(link, {
      fault,
      active: () => !this.#calm,
      onFault: (kind) => this.#tally.faults[kind]++,
    });
  }
}

function newFault(random: Random, spared: number): Fault {
  if (random.next() < 0.1) return { kind: "mid-handshake", way: wayOf(random), after: random.int(1, IN_NEW_REQUEST) };
  return lifeOf(random, spared);
}

/** `most`: bytes of the handshake. */
function resumeFault(random: Random, most: number): Fault {
  if (random.next() < 0.15) return { kind: "mid-resume", way: wayOf(random), after: random.int(1, most) };
  return lifeOf(random, most);
}

function lifeOf(random: Random, least: number): Fault {
  const way = wayOf(random);
  return { kind: way, way, after: least + random.int(1, LONGEST_LIFE) };
}

function wayOf(random: Random): Way {
  return (["closed", "reset", "abandoned"] as const)[random.int(0, 2)]!;
}
