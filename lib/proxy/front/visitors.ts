import type { Limits } from "../../config.ts";
import type { Gate } from "../seams.ts";
import type { Refusal } from "../stats.ts";

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

/** What is known of an address, but for its sessions, as plain data; durations in milliseconds. */
export interface VisitorSnapshot extends Pick<Visitor, "tokens" | "resumeFailures"> {
  key: string;
  /** Since `tokens` was right, and since the counting of failures began. */
  age: number;
  failingFor: number;
}

/** The addresses that clients come from: the limits that are for each. */
export class Visitors implements Gate {
  limits: Limits;
  readonly #now: () => number;
  /** By address, IPv6 by its first 64 bits, of which one customer has all the rest. */
  readonly #visitors = new Map<string, Visitor>();

  /** `now`: milliseconds, from any start. */
  constructor(limits: Limits, now: () => number) {
    this.limits = limits;
    this.#now = now;
  }

  /** The session has used one of the new sessions of this second up. */
  begin(address: string): Refusal | undefined {
    const { sessionsPerIp, newPerSecondPerIp } = this.limits;
    const visitor = this.#visitor(address);
    if (exceeds(visitor.sessions, sessionsPerIp)) return "sessions_per_ip";
    if (newPerSecondPerIp > 0 && !this.#takeToken(visitor)) return "new_per_second_per_ip";
    visitor.sessions++;
    return undefined;
  }

  take(address: string): void {
    this.#visitor(address).sessions++;
  }

  end(address: string): void {
    this.#visitor(address).sessions--;
  }

  refusesResume(address: string): Refusal | undefined {
    const visitor = this.#visitors.get(keyOf(address));
    if (!visitor || this.#now() - visitor.failingSince >= WINDOW) return undefined;
    return exceeds(visitor.resumeFailures, this.limits.resumeFailuresPerIp) ? "resume_failures_per_ip" : undefined;
  }

  resumeFailed(address: string): void {
    const visitor = this.#visitor(address);
    const now = this.#now();
    const fresh = now - visitor.failingSince >= WINDOW;
    visitor.resumeFailures = fresh ? 1 : visitor.resumeFailures + 1;
    // The last failure that is allowed begins the time of refusal.
    if (fresh || visitor.resumeFailures === this.limits.resumeFailuresPerIp) visitor.failingSince = now;
  }

  /** Forgets the addresses of which nothing matters any more. */
  sweep(): void {
    const now = this.#now();
    for (const [key, { sessions, at, failingSince }] of this.#visitors) {
      if (sessions === 0 && now - at >= 1000 && now - failingSince >= WINDOW) this.#visitors.delete(key);
    }
  }

  /** What is known of each address. */
  snapshot(): VisitorSnapshot[] {
    const now = this.#now();
    return [...this.#visitors].map(([key, { tokens, at, resumeFailures, failingSince }]) => (
      { key, tokens, resumeFailures, age: now - at, failingFor: now - failingSince }
    ));
  }

  /** Goes by what was known elsewhere as well; sessions are counted as they come. */
  restore(visitors: readonly VisitorSnapshot[]): void {
    const now = this.#now();
    for (const { key, tokens, age, resumeFailures, failingFor } of visitors) {
      const visitor = this.#known(key);
      Object.assign(visitor, { tokens: Math.min(visitor.tokens, tokens), at: now - age });
      if (failingFor >= WINDOW) continue;
      visitor.resumeFailures += resumeFailures;
      visitor.failingSince = now - failingFor;
    }
  }

  #takeToken(visitor: Visitor): boolean {
    const rate = this.limits.newPerSecondPerIp;
    const now = this.#now();
    visitor.tokens = Math.min(rate, visitor.tokens + (now - visitor.at) / 1000 * rate);
    visitor.at = now;
    if (visitor.tokens < 1) return false;
    visitor.tokens--;
    return true;
  }

  #visitor(address: string): Visitor {
    return this.#known(keyOf(address));
  }

  #known(key: string): Visitor {
    const known = this.#visitors.get(key);
    if (known) return known;
    const visitor = { sessions: 0, tokens: Infinity, at: this.#now(), resumeFailures: 0, failingSince: -WINDOW };
    this.#visitors.set(key, visitor);
    return visitor;
  }
}

/** Whether there is no room for one more; a limit of 0 is none. */
export function exceeds(count: number, limit: number): boolean {
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
