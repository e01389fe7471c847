import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from "node:crypto";
import { ScpError } from "../../../scp/mod.ts";

/** A key of P-256 in DER (RFC 5480), up to the 65 bytes of the uncompressed point. */
const SPKI = Uint8Array.fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
/** Milliseconds that a key is used for. */
const LIFETIME = 3_600_000;
/** Those beyond are refused: in some seconds all of these have had their turn. */
const MOST_WAITING = 4096;

/** A client's key, and ours for it. */
export interface KeyPair {
  /** Ours: 65 bytes. */
  publicKey: Uint8Array<ArrayBuffer>;
  /** Derives their secret, of 32 bytes; `undefined`: too many others wait. Rejects with `ScpError` 400 when the client's is no point. */
  derive(): Promise<Uint8Array | undefined>;
}

interface ServerKey {
  privateKey: KeyObject;
  publicKey: Uint8Array<ArrayBuffer>;
  until: number;
}

/**
 * The keys of new sessions of version 2 (protocol: Version 2: Negotiation): one key is used for all of an hour. One secret, which
 * takes a third of a millisecond, is derived in each round of events: strangers who ask for sessions get a part of the time, and those
 * that exist the rest. It is done in place, as that is the fastest way there is, and what other threads do here is heard of late.
 */
export class ServerKeys {
  #key: ServerKey | undefined;
  readonly #waiting: (() => void)[] = [];
  #isComing = false;
  readonly #soon: (callback: () => void) => void;
  readonly #mostWaiting: number;

  /** `soon`: see `Engine.soon`. */
  constructor(soon: (callback: () => void) => void, mostWaiting = MOST_WAITING) {
    this.#soon = soon;
    this.#mostWaiting = mostWaiting;
  }

  /** How many clients wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** For a client's key, of 65 bytes. Throws `ScpError` 400 when it is no point of the curve, as far as that is known at once. */
  for(clientKey: Uint8Array<ArrayBuffer>): KeyPair {
    const other = importKey(clientKey);
    const { privateKey, publicKey } = this.#current();
    return { publicKey, derive: () => this.#derive(privateKey, other) };
  }

  #derive(privateKey: KeyObject, other: KeyObject): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= this.#mostWaiting) return resolve(undefined);
      this.#waiting.push(() => {
        try {
          resolve(new Uint8Array(diffieHellman({ privateKey, publicKey: other })));
        } catch {
          reject(notOnCurve()); // some runtimes find out only now
        }
      });
      this.#next();
    });
  }

  /** Derives the secret that has waited longest, in the next round of events. */
  #next(): void {
    if (this.#isComing || this.#waiting.length === 0) return;
    this.#isComing = true;
    this.#soon(() => {
      this.#isComing = false;
      this.#waiting.shift()!();
      this.#next();
    });
  }

  #current(): ServerKey {
    if (!this.#key || performance.now() >= this.#key.until) this.#key = newKey();
    return this.#key;
  }
}

function newKey(): ServerKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const der = new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
  return { privateKey, publicKey: der.slice(SPKI.length), until: performance.now() + LIFETIME };
}

/** Throws `ScpError` 400. */
function importKey(point: Uint8Array): KeyObject {
  const der = new Uint8Array(SPKI.length + point.length);
  der.set(SPKI);
  der.set(point, SPKI.length);
  try {
    return createPublicKey({ key: der as never, format: "der", type: "spki" });
  } catch {
    throw notOnCurve();
  }
}

function notOnCurve(): ScpError {
  return new ScpError(400, "the key of version 2 is no point of P-256");
}
