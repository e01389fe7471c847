import type { Engine, SocketLink } from "../../lib/link/engine/engine.ts";
import { type Endpoint, readDecoded, writeAll } from "../../lib/link/link.ts";
import type { Random } from "../helpers/random.ts";
import { AckedCutEnd } from "./acked_cut_end.ts";
import { CutEnd, type End, type EndOptions } from "./cut_end.ts";

/** What an end says first: the session, which link of it this is, and how many bytes it has received. */
const HELLO = 12;
/** Dials that may fail in a row, as for want of ports. */
const MOST_FAILURES = 10_000;

export function helloOf(number: number, index: number, received: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HELLO);
  const view = new DataView(bytes.buffer);
  [number, index, received].forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

/** What the other end says first, and bytes that came with it; `undefined`: the link ended before. */
export async function readHello(link: SocketLink) {
  const read = await readDecoded(link, (bytes) => {
    if (bytes.length < HELLO) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const [number, index, received] = [0, 4, 8].map((at) => view.getUint32(at)) as [number, number, number];
    return { size: HELLO, number, index, received };
  });
  return read && { ...read.value, rest: read.rest };
}

export interface CutSessionOptions {
  number: number;
  engine: Engine;
  address: Endpoint;
  random: Random;
  /** Whether there is to be another cut; each that is allowed is made. */
  mayCut: () => boolean;
  onBytes: (count: number) => void;
}

/** Both ends of a session of one version; `start`: they begin to send to each other. */
function endsOf<E extends End & { start(peer: E): void }>(
  Version: new (options: EndOptions) => E,
  [ofNear, ofFar]: [EndOptions, EndOptions],
): { near: End; far: End; start: () => void } {
  const [near, far] = [new Version(ofNear), new Version(ofFar)];
  const start = () => {
    near.start(far);
    far.start(near);
  };
  return { near, far, start };
}

/** A session of either version, with both its ends, whose links are cut after some bytes each: by either end, in an order or by a reset. */
export class CutSession {
  readonly #options: CutSessionOptions;
  readonly #near: End;
  readonly #far: End;
  readonly #start: () => void;
  readonly #over = Promise.withResolvers<void>();
  /** Of the link that was made last, and of the one that the far end has taken. */
  #index = 0;
  #taken = 0;
  /** Bytes until the next cut. */
  #left = 0;
  #isFinishing = false;

  constructor(options: CutSessionOptions) {
    this.#options = options;
    const { number, random, engine } = options;
    const more = {
      encrypted: number % 2 === 0,
      random,
      soon: (callback: () => void) => engine.soon(callback),
      onBytes: (count: number) => this.#moved(count),
      onFault: (error: Error) => this.#over.reject(error),
    };
    const both: [EndOptions, EndOptions] = [
      { ...more, number: 2 * number, onLost: () => this.#connect() },
      { ...more, number: 2 * number + 1, onLost: () => {} },
    ];
    const { near, far, start } = number % 4 < 2 ? endsOf(CutEnd, both) : endsOf(AckedCutEnd, both);
    [this.#near, this.#far, this.#start] = [near, far, start];
  }

  /** Settles when no more cuts may be made, and every byte has arrived. Rejects with the first that was wrong. */
  run(): Promise<void> {
    this.#start();
    this.#connect();
    return this.#over.promise;
  }

  /** Takes a link of which the near end has said so, in place of the one before. */
  take(link: SocketLink, { index, received, rest }: { index: number; received: number; rest: Uint8Array }): void {
    if (index <= this.#taken) return link.close(); // the near end has given it up
    this.#taken = index;
    this.#far.detach("replaced");
    const first = helloOf(0, index, this.#far.session.received);
    this.#far.attach(link, received, { first, rest: Uint8Array.from(rest) });
  }

  close(): void {
    this.#near.close();
    this.#far.close();
  }

  async #connect(): Promise<void> {
    try {
      for (let tries = 0; !await this.#tryConnect(); tries++) {
        if (tries === MOST_FAILURES) throw new Error("no link can be made");
        await new Promise<void>((resolve) => this.#options.engine.soon(resolve));
      }
    } catch (error) {
      this.#over.reject(error);
    }
  }

  async #tryConnect(): Promise<boolean> {
    const { engine, address, number, random } = this.#options;
    const link = await engine.connect({ kind: "tcp", ...address }, {}).catch(() => undefined);
    const hello = link && await this.#shakeHands(link, helloOf(number, ++this.#index, this.#near.session.received));
    if (!hello) {
      link?.close();
      return false;
    }
    this.#left = random.int(0, 2 ** random.int(0, 14));
    this.#near.attach(link, hello.received, { rest: Uint8Array.from(hello.rest) });
    this.#moved(0);
    return true;
  }

  /** Some are cut in the middle of it. */
  async #shakeHands(link: SocketLink, hello: Uint8Array) {
    const { random, mayCut } = this.#options;
    try {
      await writeAll(link, hello);
      if (random.next() < 0.05 && mayCut()) return void link.reset();
      return await readHello(link);
    } catch {
      return undefined; // it broke
    }
  }

  #moved(count: number): void {
    const { random, engine, mayCut, onBytes } = this.#options;
    onBytes(count);
    if (this.#isFinishing) return this.#look();
    this.#left -= count;
    if (this.#left > 0 || !this.#near.isAttached) return;
    this.#left = Infinity; // until there is another link
    if (!mayCut()) return this.#finish();
    const [end, isReset] = [random.next() < 0.5 ? this.#near : this.#far, random.next() < 0.5];
    if (random.next() < 0.5) end.cut(isReset);
    else engine.soon(() => end.cut(isReset));
  }

  #finish(): void {
    this.#isFinishing = true;
    this.#near.finish();
    this.#far.finish();
    this.#options.engine.soon(() => this.#look());
  }

  #look(): void {
    if (this.#near.isReceived && this.#far.isReceived) this.#over.resolve();
  }
}
