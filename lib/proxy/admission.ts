import type { Config } from "../config.ts";
import { Networks } from "./networks.ts";
import type { Refusal } from "./stats.ts";

/** Milliseconds within which refused resumes are counted, and for which more are then refused. */
const WINDOW = 60_000;

/** What is known of an address. */
interface Visitor {
  sessions: number;
  /** New sessions that it may open now; it fills up with time. */
  tokens: number;
  /** When `tokens` was right, in milliseconds. */
  at: number;
  resumeFailures: number;
  /** When the counting of `resumeFailures` began. */
  failingSince: number;
}

/** How much there is of what limits are for. */
export interface Load {
  sessions: number;
  handshakes: number;
  /** Whether the budget of the resend caches is used up. */
  cacheSpent: boolean;
}

/** Who may come in: `allow`, `deny` and `limits` of the configuration. What is in is never touched. */
export class Admission {
  #limits: Config["limits"];
  #allow: Networks;
  #deny: Networks;
  readonly #now: () => number;
  /** By address, IPv6 by its first 64 bits, of which one customer has all the rest. */
  readonly #visitors = new Map<string, Visitor>();

  /** `now`: milliseconds, from any start. */
  constructor(config: Config, now: () => number) {
    this.#limits = config.limits;
    this.#allow = new Networks(config.allow);
    this.#deny = new Networks(config.deny);
    this.#now = now;
  }

  /** Goes by another configuration; what is counted goes on. */
  reconfigure(config: Config): void {
    this.#limits = config.limits;
    this.#allow = new Networks(config.allow);
    this.#deny = new Networks(config.deny);
  }

  /** Why an address may not connect. That of a proxy is not the client's, which is looked at when it is known. */
  refusesConnection(address: string, { handshakes }: Pick<Load, "handshakes">, isProxy: boolean): Refusal | undefined {
    if (!isProxy && this.refusesAddress(address)) return "denied";
    return exceeds(handshakes, this.#limits.handshakes) ? "handshakes" : undefined;
  }

  /** Whether `allow` and `deny` keep an address out. */
  refusesAddress(address: string): boolean {
    return this.#deny.has(address) || (this.#allow.size > 0 && !this.#allow.has(address));
  }

  /** Why an address may not begin another session. Else it has used one of its new sessions of this second up. */
  refusesSession(address: string, { sessions, cacheSpent }: Omit<Load, "handshakes">): Refusal | undefined {
    const { sessions: most, sessionsPerIp, newPerSecondPerIp } = this.#limits;
    if (exceeds(sessions, most)) return "sessions";
    if (cacheSpent) return "cache_bytes";
    const visitor = this.#visitors.get(keyOf(address));
    if (exceeds(visitor?.sessions ?? 0, sessionsPerIp)) return "sessions_per_ip";
    return newPerSecondPerIp > 0 && !this.#takeToken(address) ? "new_per_second_per_ip" : undefined;
  }

  /** Why an address may not resume. */
  refusesResume(address: string): Refusal | undefined {
    const visitor = this.#visitors.get(keyOf(address));
    if (!visitor || this.#now() - visitor.failingSince >= WINDOW) return undefined;
    return exceeds(visitor.resumeFailures, this.#limits.resumeFailuresPerIp) ? "resume_failures_per_ip" : undefined;
  }

  /** Counts a session of an address; the function that is given counts it off again. */
  sessionBegun(address: string): () => void {
    const visitor = this.#visitor(address);
    visitor.sessions++;
    return () => void visitor.sessions--;
  }

  /** Counts a refused resume of an address. */
  resumeFailed(address: string): void {
    if (this.#limits.resumeFailuresPerIp === 0) return;
    const visitor = this.#visitor(address);
    const now = this.#now();
    const fresh = now - visitor.failingSince >= WINDOW;
    visitor.resumeFailures = fresh ? 1 : visitor.resumeFailures + 1;
    // The last failure that is allowed begins the time of refusal.
    if (fresh || visitor.resumeFailures === this.#limits.resumeFailuresPerIp) visitor.failingSince = now;
  }

  /** Forgets the addresses of which nothing matters any more. */
  sweep(): void {
    const now = this.#now();
    for (const [key, { sessions, at, failingSince }] of this.#visitors) {
      if (sessions === 0 && now - at >= 1000 && now - failingSince >= WINDOW) this.#visitors.delete(key);
    }
  }

  #takeToken(address: string): boolean {
    const visitor = this.#visitor(address);
    const rate = this.#limits.newPerSecondPerIp;
    const now = this.#now();
    visitor.tokens = Math.min(rate, visitor.tokens + (now - visitor.at) / 1000 * rate);
    visitor.at = now;
    if (visitor.tokens < 1) return false;
    visitor.tokens--;
    return true;
  }

  #visitor(address: string): Visitor {
    const key = keyOf(address);
    const known = this.#visitors.get(key);
    if (known) return known;
    const visitor = { sessions: 0, tokens: Infinity, at: this.#now(), resumeFailures: 0, failingSince: -WINDOW };
    this.#visitors.set(key, visitor);
    return visitor;
  }
}

function exceeds(count: number, limit: number): boolean {
  return limit > 0 && count >= limit;
}

function keyOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const rest = (tail ?? "").split(":").filter((group) => group !== "");
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest.length;
  return [...groups, ...Array<string>(zeros).fill("0"), ...rest].slice(0, 4).join(":");
}
