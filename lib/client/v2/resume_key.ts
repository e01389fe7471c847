import { KEY_INFO, saltInput } from "../../scp/v2/mod.ts";

/** What WebCrypto computes of version 2: the keys of a session, and HMACs (protocol: Version 2: Negotiation, Version 2: Resume). */

const CURVE = { name: "ECDH", namedCurve: "P-256" };
const HASH = "SHA-256";

type Bytes = Uint8Array<ArrayBuffer>;

/** Whether there is a WebCrypto: pages that are neither https nor localhost have none. */
export function canDerive(): boolean {
  return globalThis.crypto?.subtle !== undefined;
}

/** This end's key for one session. */
export class OwnKey {
  /** 65 bytes. */
  readonly publicKey: Bytes;
  readonly #privateKey: CryptoKey;

  constructor(privateKey: CryptoKey, publicKey: Bytes) {
    this.#privateKey = privateKey;
    this.publicKey = publicKey;
  }

  static async generate(): Promise<OwnKey> {
    const { privateKey, publicKey } = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"]) as CryptoKeyPair;
    return new OwnKey(privateKey, new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)));
  }

  /**
   * The key of the session, from the other end's and the contents of the records of the request and of its answer. Rejects when the
   * other end's is no point of the curve.
   */
  async derive(peerKey: Bytes, request: string, answer: string): Promise<ResumeKey> {
    const { subtle } = crypto;
    const peer = await subtle.importKey("raw", peerKey, CURVE, false, []);
    const secret = await subtle.deriveBits({ name: "ECDH", public: peer }, this.#privateKey, 256);
    const material = await subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
    const hkdf = {
      name: "HKDF",
      hash: HASH,
      salt: await subtle.digest(HASH, saltInput(request, answer)),
      info: new TextEncoder().encode(KEY_INFO),
    };
    const hmac = { name: "HMAC", hash: HASH, length: 256 };
    return new ResumeKey(await subtle.deriveKey(hkdf, material, hmac, false, ["sign", "verify"]));
  }
}

/** The key of a session, by which its ends know each other at a resume. */
export class ResumeKey {
  readonly #key: CryptoKey;

  constructor(key: CryptoKey) {
    this.#key = key;
  }

  /** The HMAC of a text: 32 bytes. */
  async sign(text: string): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign("HMAC", this.#key, new TextEncoder().encode(text)));
  }

  /** Whether that is the HMAC of the text. */
  async verify(text: string, mac: Bytes): Promise<boolean> {
    return await crypto.subtle.verify("HMAC", this.#key, mac, new TextEncoder().encode(text));
  }
}
