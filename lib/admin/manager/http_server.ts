import type { AcceptedLink, Listening } from "../../link/engine/engine.ts";
import {
  type Endpoint,
  formatEndpoint,
  LINGER,
  lingeringClose,
  type Link,
  readDecoded,
  writeAll,
} from "../../link/link.ts";
import type { Fields } from "../../log.ts";
import { BadRequest, decodeRequest, encodeResponse, type HttpRequest, LONGEST_HEAD } from "./http_message.ts";

export interface HttpServerOptions {
  /** Answers a request, whose body is not looked at. Must not reject. */
  answer: (request: HttpRequest) => Promise<Response>;
  /** Whether an address may connect: another's connections are closed as they come. */
  allows: (address: string) => boolean;
  /** The most connections at once. */
  most: number;
  /** Milliseconds that a client may take to send the head of its request. */
  requestTimeout: number;
  /** Milliseconds that a client may take to receive the answer. */
  answerTimeout: number;
  /** Hears of each client that may not connect, or for which there is no room, and why. */
  onRefused: (refused: { client: string; reason: string }) => void;
  /** Hears of each failure to accept, which is waited out. */
  onFailure: (failure: Fields) => void;
}

/** What a connection waits for its client for. */
type Phase = "request" | "answer" | "end";

/**
 * Serves HTTP over few connections, none of which lives long: each has one request, and so much time for each step that is the
 * client's. When there are as many as may be, the one that has waited longest for its client makes room for the next.
 *
 * `Deno.serve` bounds neither the number of connections nor what a client takes its time for, and ends when it is out of
 * descriptors. A server of Node's has such bounds, but only over a listener of its own, which accepts nothing any more after that.
 */
export class HttpServer {
  readonly address: Endpoint;
  readonly #options: HttpServerOptions;
  /** It is the server's to close. */
  readonly listening: Listening;
  #isClosing = false;
  readonly #open = new Set<AcceptedLink>();
  /** Those that wait for their client, longest first. */
  readonly #waiting = new Map<AcceptedLink, Phase>();
  readonly #serving = new Set<Promise<void>>();

  /** Serves from now on where that listens, which it owns. */
  constructor(listening: Listening, options: HttpServerOptions) {
    this.#options = options;
    this.listening = listening;
    this.address = listening.address;
    listening.accept({ onConnection: (link) => this.#take(link), onFailure: options.onFailure });
  }

  /** How many clients are there whose requests have not come yet: each has `requestTimeout` for that. */
  get asking(): number {
    let asking = 0;
    for (const phase of this.#waiting.values()) if (phase === "request") asking++;
    return asking;
  }

  /** Accepts nothing more. Settles when the answers that are under way have gone out. */
  async shutdown(): Promise<void> {
    this.#isClosing = true;
    await this.listening.close();
    for (const [link, phase] of this.#waiting) if (phase !== "answer") link.close();
    await Promise.all(this.#serving);
  }

  #take(link: AcceptedLink): void {
    link.onClose = () => this.#forget(link);
    const { allows, most } = this.#options;
    if (!allows(link.remote.hostname)) return this.#refuse(link, "denied");
    if (this.#open.size >= most) {
      const [longest = link] = this.#waiting.keys();
      this.#refuse(longest, `more than ${most} connections`);
      if (longest === link) return;
    }
    this.#open.add(link);
    const served = this.#serve(link).finally(() => this.#serving.delete(served));
    this.#serving.add(served);
  }

  #refuse(link: AcceptedLink, reason: string): void {
    this.#options.onRefused({ client: formatEndpoint(link.remote), reason });
    link.close();
  }

  #forget(link: AcceptedLink): void {
    this.#open.delete(link);
    this.#waiting.delete(link);
  }

  /** Never rejects. */
  async #serve(link: AcceptedLink): Promise<void> {
    const { answer, requestTimeout, answerTimeout } = this.#options;
    try {
      const late = () => void tellLate(link, requestTimeout);
      const request = await this.#wait(link, "request", requestTimeout, () => readRequest(link), late);
      if (!request) return;
      const response = request instanceof BadRequest ? refusalOf(request) : await answer(request);
      const bytes = await encodeResponse(response, request instanceof BadRequest ? "" : request.method);
      await this.#wait(link, "answer", answerTimeout, () => writeAll(link, bytes));
      if (!this.#isClosing) await this.#wait(link, "end", LINGER, () => lingeringClose(link));
    } catch {
      // Its client is gone, or has taken too long.
    } finally {
      link.close();
    }
  }

  /** What `work` comes to, for which the connection has so many milliseconds: it is closed then, by `late`. Rejects when it is closed. */
  async #wait<T>(
    link: AcceptedLink,
    phase: Phase,
    ms: number,
    work: () => Promise<T>,
    late = () => link.close(),
  ): Promise<T> {
    if (!this.#open.has(link)) throw new Error("closed");
    const deadline = setTimeout(late, ms);
    this.#waiting.set(link, phase);
    try {
      return await work();
    } finally {
      this.#waiting.delete(link);
      clearTimeout(deadline);
    }
  }
}

/** Tells a client that its request did not come in time, and closes. Never rejects. */
async function tellLate(link: Link, ms: number): Promise<void> {
  const bytes = await encodeResponse(refusalOf(new BadRequest(408, `the request did not come within ${ms} ms`)), "");
  await writeAll(link, bytes).catch(() => {}); // it is gone
  link.close();
}

function refusalOf({ message, status }: BadRequest): Response {
  return new Response(`${message}\n`, { status });
}

/** `undefined`: the client ended before. */
async function readRequest(link: Link): Promise<HttpRequest | BadRequest | undefined> {
  try {
    return (await readDecoded(link, decodeRequest, { most: LONGEST_HEAD }))?.value.request;
  } catch (error) {
    if (error instanceof BadRequest) return error;
    throw error;
  }
}
