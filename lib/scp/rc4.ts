import { hmac64Md5 } from "./hmac64.ts";

/** Fewer bytes than these are not worth a view of words. */
const WORTH_WORDS = 256;

/** Where a keystream is. */
export interface Rc4State {
  state: Uint8Array;
  i: number;
  j: number;
}

/**
 * One RC4 keystream, running on from call to call (protocol: Computations, cipher).
 *
 * Long parts go by words of 4 bytes: of all that was measured in JavaScript this is the fastest, by a fifth. WebAssembly is no
 * faster, unless two streams are interleaved, which would take copies. A state of 32-bit numbers is faster by itself, but a
 * thousand sessions do not find their states in the processor's cache then.
 */
export class Rc4 {
  readonly #state: Uint8Array;
  #i = 0;
  #j = 0;

  private constructor(state: Uint8Array) {
    this.#state = state;
  }

  /** One that goes on where another was, which wrote its `state` down. Owns the state. */
  static restore({ state, i, j }: Rc4State): Rc4 {
    const cipher = new Rc4(state);
    cipher.#i = i;
    cipher.#j = j;
    return cipher;
  }

  /** What it goes on from: a copy. */
  get state(): Rc4State {
    return { state: this.#state.slice(), i: this.#i, j: this.#j };
  }

  /** Two of the same key, in one piece of memory. `key`: 1 to 256 bytes, read and not kept. */
  static pair(key: Uint8Array): [Rc4, Rc4] {
    const states = new Uint8Array(512);
    const [one, other] = [states.subarray(0, 256), states.subarray(256)];
    scheduleKey(key, one);
    other.set(one);
    return [new Rc4(one), new Rc4(other)];
  }

  /** Ciphers, or deciphers, `bytes` in place. */
  xor(bytes: Uint8Array): void {
    const { length, buffer, byteOffset } = bytes;
    if (length < WORTH_WORDS) return this.#xorBytes(bytes, 0, length);
    const head = -byteOffset & 3;
    const words = (length - head) >> 2;
    this.#xorBytes(bytes, 0, head);
    this.#xorWords(new Int32Array(buffer, byteOffset + head, words));
    this.#xorBytes(bytes, head + 4 * words, length);
  }

  #xorBytes(bytes: Uint8Array, from: number, to: number): void {
    const s = this.#state;
    let i = this.#i;
    let j = this.#j;
    for (let k = from; k < to; k++) {
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

  /** The first byte of a word is its lowest, as on every machine that there is a runtime for. */
  #xorWords(words: Int32Array): void {
    const s = this.#state;
    let i = this.#i;
    let j = this.#j;
    for (let k = 0; k < words.length; k++) {
      i = (i + 1) & 255;
      let a = s[i]!;
      j = (j + a) & 255;
      let b = s[j]!;
      s[i] = b;
      s[j] = a;
      let word = s[(a + b) & 255]!;
      i = (i + 1) & 255;
      a = s[i]!;
      j = (j + a) & 255;
      b = s[j]!;
      s[i] = b;
      s[j] = a;
      word |= s[(a + b) & 255]! << 8;
      i = (i + 1) & 255;
      a = s[i]!;
      j = (j + a) & 255;
      b = s[j]!;
      s[i] = b;
      s[j] = a;
      word |= s[(a + b) & 255]! << 16;
      i = (i + 1) & 255;
      a = s[i]!;
      j = (j + a) & 255;
      b = s[j]!;
      s[i] = b;
      s[j] = a;
      words[k]! ^= word | s[(a + b) & 255]! << 24;
    }
    this.#i = i;
    this.#j = j;
  }
}

/** Writes the state that a keystream starts from to 256 bytes. */
function scheduleKey(key: Uint8Array, state: Uint8Array): void {
  for (let i = 0; i < 256; i++) state[i] = i;
  for (let i = 0, j = 0; i < 256; i++) {
    const a = state[i]!;
    j = (j + a + key[i % key.length]!) & 255;
    state[i] = state[j]!;
    state[j] = a;
  }
}

/** The 32-byte key of both directions of a session with this secret. */
export function rc4Key(secret: bigint): Uint8Array {
  const key = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i++) key.setBigUint64(8 * i, hmac64Md5(secret, BigInt(i)), true);
  return new Uint8Array(key.buffer);
}
