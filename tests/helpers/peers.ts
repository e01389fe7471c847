import type { Engine, Listening } from "../../lib/link/engine/engine.ts";
import type { ClientLink, Endpoint } from "../../lib/link/link.ts";
import { HandOver } from "../../lib/proxy/cluster/carry/hand_over.ts";
import { Offers } from "../../lib/proxy/cluster/carry/offers.ts";
import { type TakeOver, Takings } from "../../lib/proxy/cluster/carry/takings.ts";
import type { Owner } from "../../lib/proxy/owner.ts";
import type { Preface } from "../../lib/proxy/seams.ts";
import { testEngine } from "./engine.ts";
import { TestLog } from "./proxy.ts";

/** A thread of a process that is alone. */
export function ownerAt(thread: number): Owner {
  return { thread, slot: 0, epoch: 0 };
}

export const SECRET = "s".repeat(64);
export const PREFACE: Preface = {
  remote: { hostname: "192.0.2.1", port: 1 },
  local: { hostname: "::1", port: 2 },
  dialect: "plain",
  transport: "tcp",
};

/** A connection that was taken over, with what was said of it. */
export interface Taken {
  link: ClientLink;
  preface: Preface;
  rest: Uint8Array;
}

/** Some that hand over to each other, each with an engine of its own, as threads have it. */
export class Peers {
  readonly engines: Engine[];
  readonly listenings: Listening[];
  readonly offers: Offers;
  readonly all: HandOver[];
  /** How often each has closed what it was given. */
  readonly closes: number[];
  readonly #left: Set<number>;

  constructor(count: number, { offerTimeout, open = testEngine }: { offerTimeout?: number; open?: () => Engine } = {}) {
    this.engines = Array.from({ length: count }, open);
    this.listenings = this.engines.map((engine) =>
      engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 10, isShared: false, tcp: {} })
    );
    this.offers = Offers.of(count);
    this.closes = this.engines.map(() => 0);
    this.#left = new Set(this.engines.keys());
    this.all = this.engines.map((engine, thread) =>
      new HandOver({
        engine,
        thread,
        isHere: () => true,
        peers: this.addresses,
        secret: SECRET,
        offers: this.offers,
        random: () => 0,
        ...(offerTimeout !== undefined && { offerTimeout }),
      })
    );
  }

  get addresses(): Endpoint[] {
    return this.listenings.map(({ address }) => address);
  }

  /** Has one of them take what it is given: the next, or what it failed with and was closed for. */
  take(index: number): Promise<Taken> {
    return new Promise((resolve, reject) =>
      this.accept(index, (link, read) =>
        read().then((said) => resolve({ link, ...said })).catch((error) => {
          link.close();
          reject(error);
        }))
    );
  }

  /** Has one of them take all that it is given. */
  accept(index: number, takeOver: TakeOver): void {
    const takings = new Takings(takeOver, {
      secret: SECRET,
      offers: this.offers,
      log: new TestLog(),
      tellThread: (by, number) => this.all[by]!.ownerClosed(number),
      tellNode: () => {},
      bound: () => 2 ** 30,
      onClose: () => this.closes[index]!++,
    });
    takings.accept(this.listenings[index]!);
  }

  /** Stops one of them. */
  async stopOne(index: number): Promise<void> {
    this.#left.delete(index);
    await Promise.all([this.listenings[index]!.close(), this.all[index]!.stop(0)]);
  }

  /** Stops each of them. */
  async stop(): Promise<void> {
    await Promise.all([...this.#left].map((index) => this.stopOne(index)));
    await Promise.all(this.engines.map((engine) => engine.close()));
  }
}
