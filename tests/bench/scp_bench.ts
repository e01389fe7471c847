/** `deno task bench`: what the protocol costs, step by step. */
import { publicKey, sharedSecret } from "../../lib/scp/dh64.ts";
import { hashkey, hmac64, hmac64Md5 } from "../../lib/scp/hmac64.ts";
import { parseRequest } from "../../lib/scp/message.ts";
import { Rc4, rc4Key } from "../../lib/scp/rc4.ts";
import { decodeRecord, encodeRecord } from "../../lib/scp/record.ts";
import { ResendCache } from "../../lib/scp/resend_cache.ts";
import { Session } from "../../lib/scp/session.ts";

const KEY = 0x1234567890abcdefn;
const RESUME = "4242\n1\n1000\nAAAAAAAAAAA=";

for (const size of [64, 65536]) {
  const bytes = new Uint8Array(size);
  const cipher = Rc4.pair(rc4Key(KEY))[0];
  Deno.bench({ name: `Rc4.xor, ${size} bytes`, group: `${size} bytes`, fn: () => cipher.xor(bytes) });
  const cache = new ResendCache(65536);
  Deno.bench({ name: `ResendCache.append, ${size} bytes`, group: `${size} bytes`, fn: () => cache.append(bytes) });
  for (const dialect of ["goscon", "plain"] as const) {
    const session = new Session({ id: 1, secret: KEY, dialect, cacheSize: 65536 });
    Deno.bench({ name: `seal, ${dialect}, ${size} bytes`, group: `${size} bytes`, fn: () => session.seal(bytes) });
    Deno.bench({ name: `open, ${dialect}, ${size} bytes`, group: `${size} bytes`, fn: () => session.open(bytes) });
  }
}

Deno.bench({ name: "publicKey", group: "new session", fn: () => void publicKey(KEY) });
Deno.bench({ name: "sharedSecret", group: "new session", fn: () => void sharedSecret(KEY, KEY) });
Deno.bench({ name: "rc4Key", group: "new session", fn: () => void rc4Key(KEY) });
Deno.bench({
  name: "new Session, goscon",
  group: "new session",
  fn: () => void new Session({ id: 1, secret: KEY, dialect: "goscon", cacheSize: 65536 }),
});

const text = new TextEncoder().encode(RESUME);
const record = encodeRecord(RESUME);
Deno.bench({ name: "hashkey", group: "resume", fn: () => void hashkey(text) });
Deno.bench({ name: "hmac64Md5", group: "resume", fn: () => void hmac64Md5(KEY, 1n) });
Deno.bench({ name: "hmac64", group: "resume", fn: () => void hmac64(KEY, 1n) });
Deno.bench({ name: "decodeRecord", group: "resume", fn: () => void decodeRecord(record) });
Deno.bench({ name: "parseRequest", group: "resume", fn: () => void parseRequest(RESUME) });
