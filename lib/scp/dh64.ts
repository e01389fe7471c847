/** Diffie-Hellman modulo a 64-bit prime (protocol: Computations). Values are unsigned 64-bit integers. */

const P = 0xffffffffffffffc5n;
const G = 5n;

function powerModP(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base % P;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = result * square % P;
    square = square * square % P;
  }
  return result;
}

/** G to the power of each power of 2: what a public key is a product of. */
const POWERS_OF_G = [G];
for (let i = 1; i < 64; i++) POWERS_OF_G.push(POWERS_OF_G[i - 1]! ** 2n % P);

/** The public key that belongs to a private one, of 64 bits. */
export function publicKey(privateKey: bigint): bigint {
  let result = 1n;
  for (let rest = privateKey, i = 0; rest > 0n; rest >>= 1n, i++) {
    if (rest & 1n) result = result * POWERS_OF_G[i]! % P;
  }
  return result;
}

/** What both ends have in common: from one's own private key and the other's public one. */
export function sharedSecret(ownPrivate: bigint, otherPublic: bigint): bigint {
  return powerModP(otherPublic, ownPrivate);
}

/** Whether a peer's public key can be used: one that is 0 mod p would make the secret 0 whatever our key is. */
export function isUsablePublicKey(key: bigint): boolean {
  return key % P !== 0n;
}
