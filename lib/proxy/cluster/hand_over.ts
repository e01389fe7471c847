import { timingSafeEqual } from "node:crypto";
import { dial } from "../../link/dial.ts";
import type { AcceptedLink, Engine, Listening } from "../../link/engine/engine.ts";
import {
  type ClientLink,
  type Endpoint,
  formatEndpoint,
  type Link,
  readDecoded,
  reasonOf,
  writeAll,
} from "../../link/link.ts";
import type { Log } from "../../log.ts";
import { decodeRecord, encodeRecord, ScpError } from "../../scp/mod.ts";
import type { Carry, Preface } from "../seams.ts";
import { Carried } from "./carried.ts";

/** Milliseconds to reach a peer in. */
const DIAL_TIMEOUT = 5000;

/** What a peer is told of a connection: the preface, and which one it is of those that `by` carries. */
interface Letter extends Preface {
  by: number;
  number: number;
}

/** Takes a connection of a client that a peer has, and owns it. `read` gives what the peer says of it, and bytes that came then. */
export type TakeOver = (link: ClientLink, read: () => Promise<{ preface: Preface; rest: Uint8Array }>) => void;

export interface HandOverOptions {
  engine: Engine;
  /** Which of the peers this one is. */
  index: number;
  /** Where each takes connections for sessions that are its own. */
  peers: readonly Endpoint[];
  /** What a peer has to say first. */
  secret: string;
  log: Log;
  /** Tells the peer `by` that this one has closed its end of what that one carries as `number`. */
  tellClosed: (by: number, number: number) => void;
}

/** How one of several that serve the same addresses gives a connection to the owner of its session, and takes what it is given. */
export class HandOver {
  readonly #options: HandOverOptions;
  readonly #carried = new Map<number, Carried>();
  readonly #running = new Set<Promise<void>>();
  readonly #listening: Listening;
  #count = 0;

  /** Owns `listening`, which is at its own address of `peers`; what comes waits for `accept`. */
  constructor(listening: Listening, options: HandOverOptions) {
    this.#listening = listening;
    this.#options = options;
  }

  /** Takes what peers hand over. */
  accept(takeOver: TakeOver): void {
    const { log, secret, tellClosed } = this.#options;
    const onConnection = (link: AcceptedLink) =>
      takeOver(link, async () => {
        const { letter: { by, number, ...preface }, rest } = await readLetter(link, secret);
        link.onClose = () => tellClosed(by, number);
        return { preface, rest };
      });
    const local = formatEndpoint(this.#listening.address);
    this.#listening.accept({
      onConnection,
      onFailure: (failure) => log.error("accept failed", { local, ...failure }),
    });
  }

  /** See `Carry`. */
  readonly carry: Carry = async (client, owner, preface, first) => {
    const number = this.#count++;
    const peer = await this.#connect(owner, { ...preface, by: this.#options.index, number }, first);
    const carried = new Carried(client, peer);
    this.#carried.set(number, carried);
    const run = carried.run().finally(() => {
      this.#carried.delete(number);
      this.#running.delete(run);
    });
    this.#running.add(run);
  };

  /** The owner has closed its end of what is carried as `number`. */
  ownerClosed(number: number): void {
    this.#carried.get(number)?.ownerClosed();
  }

  /** Takes nothing more, and settles when nothing is carried any more: after `timeout` milliseconds it is cut. */
  async stop(timeout: number): Promise<void> {
    const closed = this.#listening.close();
    const deadline = setTimeout(() => this.#carried.forEach((carried) => carried.close()), timeout);
    await Promise.all([closed, ...this.#running]);
    clearTimeout(deadline);
  }

  /** The letter is a record, of the secret and then of JSON. */
  async #connect(owner: number, letter: Letter, first: Uint8Array): Promise<Link> {
    const { peers, secret, engine } = this.#options;
    let link: Link | undefined;
    try {
      link = await dial({ kind: "tcp", ...peers[owner]! }, { timeout: DIAL_TIMEOUT, engine });
      const head = encodeRecord(secret + JSON.stringify(letter));
      const bytes = new Uint8Array(head.length + first.length);
      bytes.set(head);
      bytes.set(first, head.length);
      await writeAll(link, bytes);
      return link;
    } catch (error) {
      link?.close();
      throw new ScpError(501, `the peer that has the session cannot be reached: ${reasonOf(error)}`);
    }
  }
}

/** Reads the letter of a peer: it, and the bytes that came after it. Throws an `Error` for anything else. */
async function readLetter(link: ClientLink, secret: string): Promise<{ letter: Letter; rest: Uint8Array }> {
  const read = await readDecoded(link, decodeRecord);
  const [given, json] = [read?.value.content.slice(0, secret.length) ?? "", read?.value.content.slice(secret.length)];
  const isRight = given.length === secret.length && timingSafeEqual(bytesOf(given), bytesOf(secret));
  if (!read || !isRight) throw new Error("no peer of this process");
  return { letter: JSON.parse(json!), rest: read.rest };
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
