import { ScpError } from "../../scp/error.ts";
import { encodeRecord } from "../../scp/record.ts";
import {
  type AckedSession,
  LARGEST_WINDOW,
  LEAST_WINDOW,
  type Offered,
  requestWithOffer,
  type Terms,
} from "../../scp/v2/mod.ts";
import { reasonOf } from "../../link/link.ts";
import { CACHE_SIZE, type FlowingOptions } from "../connection_options.ts";
import { exchange, type Exchanged, randomKey, refusalIn } from "../exchange.ts";
import { canDerive, OwnKey, type ResumeKey } from "./resume_key.ts";

/** See `ConnectionOptions.window`. */
const WINDOW = 256 * 1024;
/** The least of `ConnectionOptions.cacheSize`. */
const LEAST_CACHE = 64 * 1024;

/** A session of version 2 that is begun, and the link that it was begun over. */
export interface Opened extends Pick<Exchanged, "link" | "rest"> {
  session: AckedSession;
  terms: Terms;
  key: ResumeKey;
}

/** The same, when the server took no notice of the offer: what a session of version 1 starts from. */
export interface OpenedInVersion1 extends Pick<Exchanged, "link" | "rest"> {
  version1: NonNullable<Offered["version1"]>;
  terms?: undefined;
}

/**
 * Asks for a session of version 2. The caller owns the link. Rejects with an `ScpError` when the proxy refuses; with why it could not
 * be reached; and, when version 2 is demanded, with why that cannot be had.
 */
export async function openByOffer(options: FlowingOptions): Promise<Opened | OpenedInVersion1> {
  if (!canDerive()) {
    throw new Error(
      "Cannot speak version 2: there is no WebCrypto (crypto.subtle), as on pages neither https nor localhost",
    );
  }
  const own = await OwnKey.generate();
  const hello = helloOf(options, own.publicKey);
  const { link, content, rest } = await exchange(() => encodeRecord(hello.content), options, options.signal);
  try {
    const offered = finish(hello.finish, content);
    if (!offered.terms) {
      if (options.version === 2) throw new Error("Cannot speak version 2: the server answered in version 1");
      return { version1: offered.version1, link, rest };
    }
    const key = await derive(own, offered.terms.key, hello.content, content);
    options.signal?.throwIfAborted();
    return { ...offered, key, link, rest };
  } catch (error) {
    link.close();
    throw error;
  }
}

function helloOf(options: FlowingOptions, key: Uint8Array<ArrayBuffer>): ReturnType<typeof requestWithOffer> {
  const { target = "", flag = 0, dialect = "goscon", cacheSize = CACHE_SIZE, window = WINDOW } = options;
  if (!(window >= LEAST_WINDOW && window <= LARGEST_WINDOW)) {
    throw new RangeError(`Cannot offer a window of ${window} bytes: expected ${LEAST_WINDOW} to ${LARGEST_WINDOW}`);
  }
  return requestWithOffer({
    privateKey: randomKey(),
    ...{ target, flag, dialect },
    cacheSize: Math.max(cacheSize, LEAST_CACHE),
    offer: { key, window },
  });
}

function finish(finish: (answer: string) => Offered, content: string): Offered {
  try {
    return finish(content);
  } catch (error) {
    throw refusalIn(content) ?? error;
  }
}

async function derive(own: OwnKey, peerKey: Uint8Array<ArrayBuffer>, request: string, answer: string) {
  try {
    return await own.derive(peerKey, request, answer);
  } catch (error) {
    throw new ScpError(400, `the server's key is no point of the curve (${reasonOf(error)})`);
  }
}
