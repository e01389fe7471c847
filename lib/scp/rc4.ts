import { hmac64Md5 } from "./hmac64.ts";

/** One RC4 keystream, running on from call to call (protocol: Computations, cipher). */
export class Rc4 {
  readonly #state = new Uint8Array(256);
  #i = 0;
  #j = 0;

  /** `key`: 1 to 256 bytes, read and not kept. */
  constructor(key: Uint8Array) {
    const s = this.#state;
    for (let i = 0; i < 256; i++) s[i] = i;
    for (let i = 0, j = 0; i < 256; i++) {
      const a = s[i]!;
      j = (j + a + key[i % key.length]!) & 255;
      s[i] = s[j]!;
      s[j] = a;
    }
  }

  /** Ciphers, or deciphers, `bytes` in place. */
  xor(bytes: Uint8Array): void {
    const s = this.#state;
    let i = this.#i;
    let j = this.#j;
    for (let k = 0; k < bytes.length; k++) {
      i = (i + 1) & 255;
      const a = s[i]!;
      j = (j + a) & 255;
      const b = s[j]!;
      s[i] = b;
      s[j] = a;
      bytes[k]! ^= s[(a + b) & 255]!;
    }
    this.#i = i;
    this.#j = j;
  }
}

/** The 32-byte key of both directions of a session with this secret. */
export function rc4Key(secret: bigint): Uint8Array {
  const key = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i++) key.setBigUint64(8 * i, hmac64Md5(secret, BigInt(i)), true);
  return new Uint8Array(key.buffer);
}
