import { reasonOf } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import { Semaphore } from "../../semaphore.ts";
import { within } from "../../within.ts";

/** Milliseconds for which what a name stands for is known, and for which a failure is. */
const FRESH = 5000;
const FAILED = 1000;
/** Milliseconds that a look-up may take while there are last known addresses to go on with. */
const PATIENCE = 250;
/** Clients say the names: what is remembered of them must have an end. */
const MOST_KNOWN = 1024;
/**
 * Names of clients, and of the configuration, that are looked up at once. Each look-up holds one of the 32 threads that Deno
 * has for what blocks, until the DNS answers or the system gives up: both kinds together leave some to files and the log.
 */
const MOST_STRANGERS = 16;
const MOST_OWN = 12;

export interface ResolverOptions {
  /** The IP addresses of a name. */
  lookup: (hostname: string) => Promise<string[]>;
  /** Milliseconds, from any start. */
  now: () => number;
  log: Log;
}

/** What is known of a name: the last addresses, and until when that, or the failure that came last, holds. */
interface Known {
  ips: string[];
  failure: unknown;
  until: number;
}

/** Whether a look-up has failed because there is no such name, and not for want of an answer. */
export function isUnknownName(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "ENOTFOUND" || code === "ENODATA";
}

/**
 * Looks names up, each once at a time, and remembers what came of it for some seconds. When the DNS fails, or is slow, the last
 * known addresses go on: a name that had some has none only when the DNS says that it does not exist.
 */
export class Resolver {
  readonly #options: ResolverOptions;
  /** The one that was looked up longest ago is the first. */
  readonly #known = new Map<string, Known>();
  readonly #running = new Map<string, Promise<string[]>>();
  readonly #own = new Semaphore(MOST_OWN);
  #strangers = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** The addresses of a name of the configuration: few are looked up at once, and more wait. */
  lookUp = (hostname: string): Promise<string[]> =>
    this.#lookUp(hostname, (name) => this.#ask(name, () => this.#own.run(() => this.#settle(name))));

  /** Those of a name that a client said: few are looked up at once, so that they hold up nothing. Rejects when there are more. */
  lookUpForClient = (hostname: string): Promise<string[]> =>
    this.#lookUp(hostname, async (name) => {
      if (this.#strangers === MOST_STRANGERS) throw new Error("too many names are looked up at once");
      this.#strangers++;
      return await this.#ask(name, () => this.#settle(name)).finally(() => this.#strangers--);
    });

  async #lookUp(hostname: string, ask: (hostname: string) => Promise<string[]>): Promise<string[]> {
    const known = this.#known.get(hostname);
    if (known && this.#options.now() < known.until) return ipsOf(known);
    const running = this.#running.get(hostname) ?? ask(hostname);
    if (!known || known.ips.length === 0) return await running;
    return await within(PATIENCE, running) ?? known.ips;
  }

  #ask(hostname: string, settle: () => Promise<string[]>): Promise<string[]> {
    const asking = settle().finally(() => this.#running.delete(hostname));
    asking.catch(() => {}); // whoever waited may have gone on with what was known
    this.#running.set(hostname, asking);
    return asking;
  }

  async #settle(hostname: string): Promise<string[]> {
    const { lookup, now, log } = this.#options;
    const known: Known = { ips: [], failure: undefined, until: 0 };
    try {
      known.ips = await lookup(hostname);
      known.until = now() + FRESH;
    } catch (failure) {
      known.until = now() + FAILED;
      known.failure = failure;
      const ips = this.#known.get(hostname)?.ips ?? [];
      if (!isUnknownName(failure) && ips.length > 0) {
        known.ips = ips;
        log.warning("look-up failed", { hostname, reason: reasonOf(failure), going_on_with: ips.join(" ") });
      }
    }
    this.#known.delete(hostname);
    this.#known.set(hostname, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST_KNOWN) this.#known.delete(oldest!);
    return ipsOf(known);
  }
}

function ipsOf({ ips, failure }: Known): string[] {
  if (ips.length === 0 && failure !== undefined) throw failure;
  return ips;
}
