import type { Address } from "../config/units.ts";
import type { Addresses } from "./addresses.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "./link.ts";
import { race } from "./race.ts";
import { shortageOf } from "./shortage.ts";
import { sleep } from "./sleep.ts";
import { DenoEngine } from "./engine/deno_engine.ts";
import type { ConnectOptions, Engine, SocketLink } from "./engine/engine.ts";

/** The first and the longest pause while the queue of a Unix socket is full, in milliseconds. */
const FIRST_PAUSE = 2;
const LONGEST_PAUSE = 50;

/** How the system says, by `errno`, that a name has no address, and how often it is asked then. */
const NO_DATA = -3007;
const MOST_LOOKUPS = 3;

const DENO = new DenoEngine();

/** An address outside of this process. */
export type SocketAddress = Exclude<Address, { kind: "builtin" }>;

export interface DialOptions extends ConnectOptions {
  /** Milliseconds for the look-up of a name, and again for each of its addresses; for a Unix socket, in all. */
  timeout: number;
  /** Opens the connections. Missing: Deno. */
  engine?: Pick<Engine, "connect"> | undefined;
  /** The IP addresses of a name; missing: by the system. */
  lookup?: ((hostname: string) => Promise<string[]>) | undefined;
  /** Says which address of a name is tried first, and learns how that went; missing: the order is that of the look-up. */
  addresses?: Addresses | undefined;
}

/**
 * Opens a connection; of a name, to whichever address answers first: see `race`. The caller owns the link. Rejects with
 * every address and why it failed; `shortageOf` tells whether for want of something of ours.
 */
export async function dial(address: SocketAddress, options: DialOptions): Promise<SocketLink> {
  if (address.kind === "unix") {
    return await withDeadline((signal) => connectUnix(address, { ...options, signal }), options);
  }
  const { hostname, port } = address;
  const ips = isIp(hostname) ? [hostname] : await lookUp(hostname, options);
  if (ips.length === 0) throw new Error(`${hostname} has no address`);
  return await connectTcp(ips.map((ip) => ({ hostname: ip, port })), options);
}

/** Connects to whichever of the addresses answers first. */
function connectTcp(endpoints: Endpoint[], options: DialOptions): Promise<SocketLink> {
  const { addresses, engine = DENO } = options;
  return race(addresses?.order(endpoints) ?? endpoints, {
    attempt: async (endpoint, signal) => {
      try {
        const { keepAlive, receiveBuffer } = options;
        const address = { kind: "tcp", ...endpoint } as const;
        const link = await withDeadline((signal) => engine.connect(address, { keepAlive, receiveBuffer, signal }), {
          ...options,
          signal,
        });
        addresses?.answered(endpoint);
        return link;
      } catch (error) {
        throw new Error(`${formatEndpoint(endpoint)}: ${reasonOf(error)}`, { cause: error });
      }
    },
    discard: (link) => link.close(),
    onFailure: (endpoint, error) => {
      if (!shortageOf(error)) addresses?.failed(endpoint);
    },
    signal: options.signal,
  });
}

/** Over TCP the operating system waits while the queue of who listens is full; here it says so, and we wait. */
async function connectUnix(
  address: SocketAddress,
  { engine = DENO, signal }: DialOptions & { signal: AbortSignal },
): Promise<SocketLink> {
  for (let pause = FIRST_PAUSE;; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    signal.throwIfAborted();
    try {
      return await engine.connect(address, { signal });
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
    }
    await sleep(pause, signal);
  }
}

function isIp(hostname: string): boolean {
  return hostname.includes(":") || /^[0-9.]+$/.test(hostname);
}

/** The IP addresses of a name. A look-up cannot be stopped: when the time is over it is left alone. */
export function lookUp(hostname: string, options: DialOptions): Promise<string[]> {
  const { lookup = systemLookup } = options;
  return withDeadline((signal) => {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => aborted.reject(signal.reason));
    return Promise.race([lookup(hostname), aborted.promise]);
  }, options);
}

/**
 * The IP addresses of a name, by the system. Rejects with its error, of code ENOTFOUND when there is no such name. Without a
 * descriptor it cannot read its files, and says that the name has no address: that is asked for again, as there may be
 * descriptors meanwhile.
 */
export async function systemLookup(hostname: string): Promise<string[]> {
  const dns = await import("node:dns/promises");
  for (let tries = 1;; tries++) {
    try {
      return (await dns.lookup(hostname, { all: true })).map(({ address }) => address);
    } catch (error) {
      await needDescriptor();
      if (tries === MOST_LOOKUPS || (error as { errno?: number }).errno !== NO_DATA) throw error;
    }
  }
}

/** Rejects when there is none left. */
async function needDescriptor(): Promise<void> {
  try {
    (await Deno.open("/dev/null")).close();
  } catch (error) {
    if (shortageOf(error)) throw error;
  }
}

/** Aborts the signal that `work` gets when the time is over or the dialling is given up, and then rejects with why. */
async function withDeadline<T>(work: (signal: AbortSignal) => Promise<T>, options: DialOptions): Promise<T> {
  const abort = new AbortController();
  const giveUp = () => abort.abort(new Error("given up"));
  const timer = setTimeout(() => abort.abort(new Error(`no answer within ${options.timeout} ms`)), options.timeout);
  options.signal?.addEventListener("abort", giveUp);
  if (options.signal?.aborted) giveUp();
  try {
    return await work(abort.signal);
  } catch (error) {
    throw abort.signal.aborted ? abort.signal.reason : error;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", giveUp);
  }
}
