import { pack, type PlainData, unpack } from "../../lib/link/engine/passing/plain_data.ts";
import { Kcp, type KcpSnapshot } from "../../lib/link/kcp/machine/kcp.ts";
import type { KcpOptions } from "../../lib/link/kcp/machine/options.ts";
import { patternAt, Random } from "./random.ts";

/** Simulated milliseconds after which two ends that are not at rest are stuck: 20,000 bytes of which one is held at a time take hours. */
const LONGEST = 1e8;

interface Arrival {
  at: number;
  order: number;
  datagram: Uint8Array;
}

/** One way of a path that loses, doubles, delays and so reorders. */
class Path {
  readonly #random: Random;
  readonly #loss: number;
  readonly #doubled: number;
  readonly #delay: number;
  readonly #jitter: number;
  #arrivals: Arrival[] = [];
  #count = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#loss = random.next() * 0.3;
    this.#doubled = random.next() * 0.2;
    this.#delay = random.int(0, 100);
    this.#jitter = random.int(0, 1) * random.int(0, 60);
  }

  put(datagram: Uint8Array, now: number): void {
    for (let copies = this.#random.next() < this.#doubled ? 2 : 1; copies > 0; copies--) {
      if (this.#random.next() < this.#loss) continue;
      const at = now + this.#delay + this.#random.int(0, this.#jitter);
      this.#arrivals.push({ at, order: this.#count++, datagram: datagram.slice() });
    }
  }

  get next(): number {
    return this.#arrivals.reduce((soonest, { at }) => Math.min(soonest, at), Infinity);
  }

  /** What has arrived by now, the earliest first. */
  take(now: number): Uint8Array[] {
    const taken = this.#arrivals.filter(({ at }) => at <= now).toSorted((a, b) => a.at - b.at || a.order - b.order);
    if (taken.length > 0) this.#arrivals = this.#arrivals.filter(({ at }) => at > now);
    return taken.map(({ datagram }) => datagram);
  }
}

interface Start {
  conv: number;
  first: number;
  random: Random;
  out: Path;
  /** Of its pattern. */
  stream: 0 | 1;
}

/** An end with what it has to send and to receive, of a pattern. */
class End {
  kcp: Kcp;
  /** How often it went on as another. */
  moves = 0;
  readonly #conv: number;
  /** From the clock of the run to that of its process. */
  #shift = 0;
  readonly #options: KcpOptions;
  readonly #random: Random;
  readonly #out: Path;
  readonly #stream: number;
  readonly #total: number;
  readonly #isSlow: boolean;
  #sent = 0;
  received = 0;
  /** When a slow one reads again. */
  #readAt = 0;

  constructor({ conv, first, random, out, stream }: Start) {
    this.#conv = conv;
    this.#options = optionsOf(random);
    this.kcp = new Kcp(conv, this.#options, { epoch: number32(random), first });
    this.#random = random;
    this.#out = out;
    this.#stream = stream;
    this.#total = random.int(0, 3) === 0 ? random.int(0, 20) : random.int(0, 20_000);
    this.#isSlow = random.int(0, 3) === 0;
  }

  get isDone(): boolean {
    return this.#sent === this.#total && this.kcp.unacknowledged === 0 && this.kcp.due === Infinity;
  }

  get total(): number {
    return this.#total;
  }

  /** When it does something if nothing comes. */
  get next(): number {
    return Math.min(this.kcp.due - this.#shift, this.kcp.readable > 0 ? this.#readAt : Infinity);
  }

  input(datagram: Uint8Array, now: number, isRegular: boolean): void {
    const verdict = this.kcp.input(datagram, now + this.#shift, isRegular);
    if (verdict !== "ok") throw new Error(`a datagram is "${verdict}"`);
  }

  /** Another goes on from what this one is as it goes between processes, each of which has a clock of its own. */
  move(now: number): void {
    const { text, bytes } = pack(this.kcp.snapshotAt(now + this.#shift) as unknown as PlainData);
    const copied = Uint8Array.from(bytes.flatMap((part) => [...part]));
    this.#shift = this.#random.next() * 1e6 - now;
    this.kcp = Kcp.restore(this.#conv, unpack(text, copied) as KcpSnapshot, now + this.#shift, {});
    this.moves++;
  }

  act(now: number, tick: number): void {
    this.#write();
    this.#read(now);
    const { readable, unacknowledged } = this.kcp;
    if (readable > this.#options.receiveBytes) throw new Error(`${readable} bytes wait to be received`);
    if (unacknowledged > this.#options.sendBytes) throw new Error(`${unacknowledged} bytes are held`);
    const own = now + this.#shift;
    if (this.kcp.due < own + tick) this.kcp.flush(own, (datagram) => this.#out.put(datagram, now));
  }

  #write(): void {
    while (this.#sent < this.#total && this.kcp.room > 0) {
      const length = Math.min(this.#total - this.#sent, this.#random.int(1, 3000));
      const bytes = Uint8Array.from({ length }, (_, i) => patternAt(this.#sent + i, this.#stream));
      this.#sent += this.kcp.send(bytes);
      if (this.#random.int(0, 3) === 0) break;
    }
  }

  #read(now: number): void {
    if (now < this.#readAt) return;
    const most = this.#isSlow ? this.#random.int(1, 2000) : Infinity;
    for (let bytes; (bytes = this.kcp.receive(most));) {
      for (const byte of bytes) {
        if (byte !== patternAt(this.received, 1 - this.#stream)) throw new Error(`byte ${this.received} is wrong`);
        this.received++;
      }
      if (this.#isSlow) break;
    }
    if (this.#isSlow) this.#readAt = now + this.#random.int(1, 100);
  }
}

function optionsOf(random: Random): KcpOptions {
  return {
    mtu: random.int(0, 1) ? 1400 : random.int(50, 1500),
    interval: random.int(1, 40),
    nodelay: random.int(0, 1) === 1,
    resend: random.int(0, 3),
    congestion: random.int(0, 3) === 0,
    sendWindow: random.int(1, 256),
    receiveWindow: random.int(1, 256),
    sendBytes: random.int(1, 100_000),
    receiveBytes: random.int(1476, 100_000),
  };
}

/** Near where it wraps, half of the time. */
const number32 = (random: Random) => random.int(0, 1) ? 2 ** 32 - random.int(0, 200) : random.int(0, 2 ** 32 - 1);

/** What was seen of a run. */
export interface RunResult {
  /** Simulated milliseconds. */
  ms: number;
  bytes: number;
  ends: Kcp[];
  moves: number;
}

/**
 * Two machines over a path of chance, on a simulated clock, until each has all bytes of the other and both are at rest. Throws when a
 * byte is wrong and when they do not get there. `moving`: how likely, each time that it does something, an end goes on as another.
 */
export function runKcp(seed: number, moving = 0): RunResult {
  const random = new Random(seed);
  const paths = [new Path(random), new Path(random)] as const;
  const [conv, first] = [number32(random), number32(random)];
  const start = { conv, first, random };
  const ends = [
    new End({ ...start, out: paths[0], stream: 0 }),
    new End({ ...start, out: paths[1], stream: 1 }),
  ] as const;
  const tick = random.int(0, 1) * 10;
  /** The part of datagrams that are as if they were rebuilt. */
  const rebuilt = random.int(0, 1) * 0.2;
  const isAtRest = () =>
    ends.every((end, i) => end.isDone && end.received === ends[1 - i]!.total && paths[i]!.next === Infinity);
  let now = random.int(0, 1e6);
  const until = now + LONGEST;
  do {
    for (const [i, end] of ends.entries()) {
      for (const datagram of paths[1 - i]!.take(now)) {
        end.input(datagram, now, random.next() >= rebuilt);
        if (moving > 0 && random.next() < moving) end.move(now);
      }
      if (moving > 0 && random.next() < moving) end.move(now);
      end.act(now, tick);
    }
    if (now > until) throw new Error("they do not come to rest");
    const next = Math.min(...ends.map((end) => end.next), ...paths.map((path) => path.next));
    if (next === Infinity && !isAtRest()) throw new Error("they are stuck");
    now = Math.max(now + (tick || 1), next === Infinity ? 0 : Math.ceil(next));
  } while (!isAtRest());
  return {
    ms: now - until + LONGEST,
    bytes: ends[0].received + ends[1].received,
    ends: ends.map(({ kcp }) => kcp),
    moves: ends[0].moves + ends[1].moves,
  };
}
