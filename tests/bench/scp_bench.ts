/** `deno task bench`: what the protocol costs, step by step. */
import { publicKey, sharedSecret } from "../../lib/scp/dh64.ts";
import { hashkey, hmac64, hmac64Md5 } from "../../lib/scp/mod.ts";
import { parseRequest } from "../../lib/scp/message.ts";
import { Rc4, rc4Key } from "../../lib/scp/rc4.ts";
import { decodeRecord, encodeRecord } from "../../lib/scp/record.ts";
import { ResendCache } from "../../lib/scp/resend_cache.ts";
import { Session } from "../../lib/scp/session.ts";
import { AckedSession, saltInput } from "../../lib/scp/v2/mod.ts";
import { ResumeKey } from "../../lib/proxy/session/v2/resume_key.ts";
import { ServerKeys } from "../../lib/proxy/session/v2/server_keys.ts";

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

/** Two ends of a session of version 2, and what carries a message from the first to the second, with its ACK in time. */
function ackedPair(): (bytes: Uint8Array<ArrayBuffer>) => void {
  const options = {
    id: 1,
    secret: KEY,
    dialect: "plain",
    cacheSize: 2 ** 20,
    window: 2 ** 18,
    peerWindow: 2 ** 18,
  } as const;
  const [one, other] = [new AckedSession(options), new AckedSession(options)];
  for (const end of [one, other]) end.attach(0, new Uint8Array(0));
  const wire = new Uint8Array(2 ** 17);
  const consumer = { take: (bytes: Uint8Array) => bytes.length };
  const carry = (from: AckedSession, to: AckedSession) => {
    for (let bytes = from.wire; bytes.length > 0; bytes = from.wire) {
      wire.set(bytes);
      from.wrote(bytes.length);
      to.receive(wire.subarray(0, bytes.length), consumer);
    }
  };
  return (bytes) => {
    one.send(bytes);
    carry(one, other);
    carry(other, one);
  };
}

for (const size of [64, 65536]) {
  const bytes = new Uint8Array(size);
  const carry = ackedPair();
  Deno.bench({ name: `version 2, both ends, plain, ${size} bytes`, group: `${size} bytes`, fn: () => carry(bytes) });
}

Deno.bench({ name: "publicKey", group: "new session", fn: () => void publicKey(KEY) });
Deno.bench({ name: "sharedSecret", group: "new session", fn: () => void sharedSecret(KEY, KEY) });
Deno.bench({ name: "rc4Key", group: "new session", fn: () => void rc4Key(KEY) });
Deno.bench({
  name: "new Session, goscon",
  group: "new session",
  fn: () => void new Session({ id: 1, secret: KEY, dialect: "goscon", cacheSize: 65536 }),
});

const keys = new ServerKeys(queueMicrotask);
const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
const clientKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
const secret = (await keys.for(clientKey).derive())!;
Deno.bench({
  name: "version 2, ServerKeys.for and derive",
  group: "new session",
  fn: async () => void await keys.for(clientKey).derive(),
});
Deno.bench({
  name: "version 2, ResumeKey.of",
  group: "new session",
  fn: () => void ResumeKey.of(secret, "a".repeat(120), "b".repeat(140)),
});
Deno.bench({
  name: "version 2, saltInput",
  group: "new session",
  fn: () => void saltInput("a".repeat(120), "b".repeat(140)),
});

const resumeKey = ResumeKey.of(secret, "", "");
Deno.bench({ name: "version 2, ResumeKey.sign", group: "resume", fn: () => void resumeKey.sign(RESUME) });

const text = new TextEncoder().encode(RESUME);
const record = encodeRecord(RESUME);
Deno.bench({ name: "hashkey", group: "resume", fn: () => void hashkey(text) });
Deno.bench({ name: "hmac64Md5", group: "resume", fn: () => void hmac64Md5(KEY, 1n) });
Deno.bench({ name: "hmac64", group: "resume", fn: () => void hmac64(KEY, 1n) });
Deno.bench({ name: "decodeRecord", group: "resume", fn: () => void decodeRecord(record) });
Deno.bench({ name: "parseRequest", group: "resume", fn: () => void parseRequest(RESUME) });
