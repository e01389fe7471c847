import { join } from "./hmac64.ts";

/** djb2 of the bytes in the low half, the JS hash in the high half. */
export function hashkey(bytes: Uint8Array): bigint {
  let djb = 5381;
  let js = 1315423911;
  for (const byte of bytes) {
    djb = (djb + (djb << 5) + byte) | 0;
    js ^= (js << 5) + byte + (js >>> 2);
  }
  return join(js, djb);
}
