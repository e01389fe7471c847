import type { Redis } from "ioredis";
import { within } from "../../../within.ts";

/** Milliseconds for an answer, also to a connection that is opened for it. */
const PATIENCE = 3000;

/** A connection to a server of Redis or Valkey, which is opened when something is asked, and given up when anything goes wrong. */
export class RedisConnection {
  readonly #url: string;
  #client: Redis | undefined;
  /** Why the connection broke: what was asked over it is told less. */
  #reason: Error | undefined;
  #isClosed = false;

  /** `url`: `redis://`, `rediss://` with TLS, or the path of a Unix socket. */
  constructor(url: string) {
    this.#url = url;
  }

  /** Asks one thing; none is to be asked before its answer is there. Rejects when there is none in time, or an error. */
  async ask(command: string, ...args: (string | number)[]): Promise<unknown> {
    try {
      const client = this.#client ?? await this.#create();
      const answer = await within(PATIENCE, this.#send(client, command, args));
      if (answer === undefined) throw new Error(`no answer within ${PATIENCE} ms`);
      return answer;
    } catch (error) {
      this.#drop();
      throw this.#reason ?? error;
    }
  }

  /** For good. What is asked is rejected. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  /** Only who has Redis loads its client. */
  async #create(): Promise<Redis> {
    const { Redis } = await import("ioredis");
    if (this.#isClosed) throw new Error("closed");
    this.#reason = undefined;
    const client = new Redis(this.#url, {
      lazyConnect: true,
      // It says good-bye, and waits for no answer to that.
      disconnectTimeout: 0,
      protocol: 2,
      disableClientInfo: true,
      // Whether and when to try again is decided above.
      retryStrategy: null,
      enableReadyCheck: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
    });
    client.on("error", (error: Error) => this.#reason = error);
    this.#client = client;
    return client;
  }

  async #send(client: Redis, command: string, args: (string | number)[]): Promise<unknown> {
    if (client.status === "wait") {
      await client.connect();
      // Of one who has not said the password Redis reads short commands only, and to others says less clearly what is missing.
      await client.call("PING");
    }
    return await client.call(command, ...args);
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    // On one that is closed it would only leave a timer behind.
    if (client && !["wait", "close", "end"].includes(client.status)) client.disconnect();
  }
}
