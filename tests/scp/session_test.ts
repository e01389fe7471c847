import assert from "node:assert/strict";
import fc from "fast-check";
import { hmac64 } from "../../lib/scp/hmac64.ts";
import type { Dialect, ResumeRequest } from "../../lib/scp/message.ts";
import { parseRequest } from "../../lib/scp/message.ts";
import { Session } from "../../lib/scp/session.ts";
import { assertSameBytes, concat } from "../helpers/bytes.ts";
import { pattern } from "../helpers/random.ts";
import { toHex, u64, vectors } from "../helpers/vectors.ts";

function open({ secret = 1n, dialect = "goscon" as Dialect, cacheSize = 1024, id = 42 } = {}): Session {
  return new Session({ id, secret, dialect, cacheSize });
}

const resume = (content: string) => parseRequest(content) as ResumeRequest;

Deno.test("seal() and open() cipher each direction with the session's keystream, and count", () => {
  for (const { secret, keystream_0_32 } of vectors.rc4) {
    const session = open({ secret: u64(secret) });
    const [sent, received] = [new Uint8Array(32), new Uint8Array(32)];
    session.seal(sent.subarray(0, 5));
    session.open(received.subarray(0, 20));
    session.seal(sent.subarray(5));
    session.open(received.subarray(20));
    assert.equal(toHex(sent), keystream_0_32);
    assert.equal(toHex(received), keystream_0_32);
    assert.deepEqual([session.sent, session.received], [32, 32]);
  }
});

Deno.test("the plain dialect leaves bytes as they are", () => {
  const session = open({ dialect: "plain" });
  const bytes = pattern(0, 100);
  session.seal(bytes);
  session.open(bytes);
  assertSameBytes(bytes, pattern(0, 100));
});

Deno.test("missing() gives the bytes as they went over the wire: the cipher never rewinds", () => {
  const { secret, keystream_0_32 } = vectors.rc4[1]!;
  const session = open({ secret: u64(secret) });
  session.seal(new Uint8Array(32));
  assert.equal(toHex(concat(session.missing(0))), keystream_0_32);
  assert.equal(toHex(concat(session.missing(10))), keystream_0_32.slice(20));
  assert.deepEqual(session.missing(32), []);
  const next = new Uint8Array(984);
  session.seal(next);
  assert.equal(toHex(next.subarray(968)), vectors.rc4[1]!.keystream_1000_1016);
});

Deno.test("missing() refuses with 406 what the cache does not hold, and what was never sent", () => {
  const session = open({ cacheSize: 100 });
  session.seal(new Uint8Array(250));
  assert.equal(concat(session.missing(150)).length, 100);
  for (const received of [149, 0, 251, 2 ** 32 - 1]) {
    assert.throws(() => session.missing(received), { name: "ScpError", code: 406 }, String(received));
  }
});

Deno.test("releaseCache() leaves a peer that lacks nothing resumable, and no other", () => {
  const session = open({ cacheSize: 100 });
  session.seal(new Uint8Array(50));
  session.releaseCache();
  assert.deepEqual([session.cacheInUse, session.sent], [0, 50]);
  assert.deepEqual(session.missing(50), []);
  assert.throws(() => session.missing(49), { name: "ScpError", code: 406 });
});

Deno.test("counters go on past 4 GiB each way, and are right mod 2^32", () => {
  const proxy = open({ dialect: "plain", cacheSize: 1000 });
  const chunk = new Uint8Array(2 ** 30);
  for (let i = 0; i < 4; i++) {
    proxy.seal(chunk);
    proxy.open(chunk);
  }
  proxy.seal(pattern(0, 700));
  proxy.open(pattern(0, 300));
  assert.deepEqual([proxy.sent, proxy.received, proxy.receivedOnWire], [2 ** 32 + 700, 2 ** 32 + 300, 300]);
  assertSameBytes(concat(proxy.missing(100)), pattern(100, 600));
  // The client has not seen the counter turn over.
  assert.equal(concat(proxy.missing(2 ** 32 - 300)).length, 1000);
  assert.throws(() => proxy.missing(2 ** 32 - 301), { code: 406 });
  assert.throws(() => proxy.missing(701), { code: 406 });
});

Deno.test("authorize() takes either hmac", () => {
  const { id, secret, content } = vectors.resume_request_hmac64;
  open({ id, secret: u64(secret) }).authorize(resume(content));
  for (const { id, secret, content_hmac64_md5 } of vectors.resume_requests) {
    open({ id, secret: u64(secret) }).authorize(resume(content_hmac64_md5));
  }
});

Deno.test("nextResume() is authorised by hmac64 where that is asked for", () => {
  const { id, index, received, secret, content } = vectors.resume_request_hmac64;
  const client = open({ id, secret: u64(secret) });
  client.open(new Uint8Array(received));
  for (let i = 1; i < index; i++) client.nextResume();
  assert.deepEqual(client.nextResume(hmac64), resume(content));
});

Deno.test("authorize() refuses a wrong hmac with 401, before it looks at the index, and nothing has changed", () => {
  const { secret, content_hmac64_md5: content } = vectors.resume_requests[1]!;
  const session = open({ secret: u64(secret) });
  const right = resume(content);
  for (let bit = 0n; bit < 64n; bit++) {
    assert.throws(() => session.authorize({ ...right, hmac: right.hmac ^ 1n << bit }), { name: "ScpError", code: 401 });
  }
  assert.throws(() => session.authorize({ ...right, index: 6 }), { code: 401 });
  assert.throws(() => session.authorize({ ...right, received: 65535 }), { code: 401 });
  assert.throws(() => session.authorize({ ...right, index: 0 }), { code: 401 });
  session.authorize(right);
});

Deno.test("authorize() takes each index once, and none that is not greater than all before", () => {
  const [client, proxy] = [open(), open()];
  const requests = Array.from({ length: 5 }, () => client.nextResume());
  assert.deepEqual(requests.map(({ index }) => index), [1, 2, 3, 4, 5]);
  proxy.authorize(requests[0]!);
  proxy.authorize(requests[3]!);
  for (const used of [0, 1, 2, 3]) {
    assert.throws(() => proxy.authorize(requests[used]!), { name: "ScpError", code: 403 });
  }
  proxy.authorize(requests[4]!);
});

Deno.test("authorize() uses the index up even when the resume then comes to nothing", () => {
  const [client, proxy] = [open(), open({ cacheSize: 10 })];
  proxy.seal(new Uint8Array(11));
  const request = client.nextResume();
  proxy.authorize(request);
  assert.throws(() => proxy.missing(request.received), { code: 406 });
  assert.throws(() => proxy.authorize(request), { code: 403 });
});

Deno.test("cacheInUse is 0 for a session that has sent nothing", () => {
  const session = open({ cacheSize: 2 ** 20 });
  assert.equal(session.cacheInUse, 0);
  session.seal(new Uint8Array(10));
  assert(session.cacheInUse < 1024);
});

/** What is on its way from one end to the other; a cut loses a part of it from its end. */
class Wire {
  #flying: Uint8Array[] = [];

  put(bytes: Uint8Array): void {
    this.#flying.push(bytes.slice());
  }

  /** Takes so many bytes, or all there are. */
  take(count: number): Uint8Array {
    const all = concat(this.#flying);
    this.#flying = [all.slice(count)];
    return all.slice(0, count);
  }

  clear(): void {
    this.#flying = [];
  }
}

class End {
  readonly #session: Session;
  readonly #stream: number;
  readonly received: Uint8Array[] = [];
  sent = 0;

  constructor(session: Session, stream: number) {
    this.#session = session;
    this.#stream = stream;
  }

  get session(): Session {
    return this.#session;
  }

  send(length: number, wire: Wire): void {
    const bytes = pattern(this.sent, length, this.#stream);
    this.sent += length;
    this.#session.seal(bytes);
    wire.put(bytes);
  }

  receive(bytes: Uint8Array): void {
    this.#session.open(bytes);
    this.received.push(bytes);
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constantFrom("up" as const, "down" as const), length: fc.integer({ min: 0, max: 300 }) }),
  fc.record({
    do: fc.constantFrom("arriveUp" as const, "arriveDown" as const),
    length: fc.integer({ min: 0, max: 400 }),
  }),
  fc.record({ do: fc.constant("cut" as const), length: fc.constant(0) }),
);

Deno.test("two ends have the same bytes over a link that is cut anywhere, or learn by 406 that they cannot", () => {
  const run = fc.record({
    steps: fc.array(step, { maxLength: 60 }),
    dialect: fc.constantFrom<Dialect>("goscon", "plain"),
    cacheSize: fc.constantFrom(50, 1000, 100_000),
  });
  fc.assert(
    fc.property(run, ({ steps, dialect, cacheSize }) => {
      const options = { secret: 0xdeadbeefcafebaben, dialect, cacheSize };
      const [client, proxy] = [new End(open(options), 1), new End(open(options), 2)];
      const [up, down] = [new Wire(), new Wire()];
      for (const { do: what, length } of [...steps, { do: "cut" as const, length: 0 }]) {
        if (what === "up") client.send(length, up);
        if (what === "down") proxy.send(length, down);
        if (what === "arriveUp") proxy.receive(up.take(length));
        if (what === "arriveDown") client.receive(down.take(length));
        if (what === "cut" && !resumed(client, proxy, up, down, cacheSize)) return;
      }
      proxy.receive(up.take(Infinity));
      client.receive(down.take(Infinity));
      assertSameBytes(concat(proxy.received), pattern(0, client.sent, 1));
      assertSameBytes(concat(client.received), pattern(0, proxy.sent, 2));
    }),
    { numRuns: 300 },
  );
});

/** Loses what is in flight and resumes; false: refused with 406, as it must be just when the cache lacks something. */
function resumed(client: End, proxy: End, up: Wire, down: Wire, cacheSize: number): boolean {
  up.clear();
  down.clear();
  const request = client.session.nextResume();
  proxy.session.authorize(request);
  const lost = [proxy.sent - concat(client.received).length, client.sent - concat(proxy.received).length];
  if (Math.max(...lost) > cacheSize) {
    const [end, received] = lost[0]! > cacheSize ? [proxy, request.received] : [client, proxy.session.receivedOnWire];
    assert.throws(() => end.session.missing(received), { name: "ScpError", code: 406 });
    return false;
  }
  for (const chunk of proxy.session.missing(request.received)) down.put(chunk);
  for (const chunk of client.session.missing(proxy.session.receivedOnWire)) up.put(chunk);
  return true;
}
