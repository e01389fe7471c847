import type { Link } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import type { Random } from "../helpers/random.ts";
import type { Doors } from "./config.ts";
import { type Fault, FaultyLink, type Way } from "./faulty_link.ts";
import type { Tally } from "./tally.ts";
import { dialBy, type Transport } from "./transports.ts";

/** Of a connection that lives through its handshake, the most bytes that go over it. */
const LONGEST_LIFE = 200_000;
/** Bytes of the handshake of a new session, of which the request is never whole: the backend would have a stranger. */
const IN_NEW_REQUEST = 15;
/** Bytes of the handshake of a resume, by the version of the protocol, and of what is sent again after it. */
const IN_RESUME = { 1: 120, 2: 240 };

/** How a client comes, and what it speaks. */
export interface Route {
  transport: Transport;
  dialect: Dialect;
}

export interface WeatherOptions {
  /** Where connections lead. */
  doors: Doors;
  /** Who signed the proxy's certificate, in PEM. */
  ca: string;
  tally: Tally;
}

/** How connections fare. Conversations of KCP never break: that these go on, whatever becomes of the proxy, is to be seen. */
export class Weather {
  readonly #options: WeatherOptions;
  /** Another door by TCP, of dialect goscon, while it is open. */
  extra: string | undefined;
  #calm = false;

  constructor(options: WeatherOptions) {
    this.#options = options;
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
    { version, ...route }: Route & { version: 1 | 2 },
    random: Random,
    spared: number,
  ): { dial: () => Promise<Link>; opened: () => void } {
    let isOpen = false;
    const dial = () => {
      const fault = isOpen ? resumeFault(random, IN_RESUME[version]) : newFault(random, spared);
      return this.dial(route, random, fault);
    };
    return { dial, opened: () => isOpen = true };
  }

  /** Opens a connection through one of the doors, which is to break so. */
  async dial({ transport, dialect }: Route, random: Random, fault: Fault): Promise<Link> {
    const { doors, ca, tally } = this.#options;
    const isExtra = transport === "tcp" && dialect === "goscon" && this.extra !== undefined && random.next() < 0.5;
    const door = isExtra ? this.extra! : doors[transport][dialect];
    const to = transport === "tcp" ? fault : withoutReset(fault);
    const link = await dialBy(transport, door, { ca, random });
    if (transport === "kcp") return link;
    return new FaultyLink(link, {
      fault: to,
      active: () => !this.#calm,
      onFault: (kind) => tally.faults[kind]++,
    });
  }
}

/** What cannot be reset is closed instead. */
function withoutReset({ kind, way, after }: Fault): Fault {
  return { kind: kind === "reset" ? "closed" : kind, way: way === "reset" ? "closed" : way, after };
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
