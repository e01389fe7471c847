import assert from "node:assert/strict";
import { mock } from "node:test";
import type { ClientLink } from "../../lib/link/link.ts";
import { CacheBudget } from "../../lib/proxy/cache_budget.ts";
import { ProxySession } from "../../lib/proxy/session.ts";
import { Stats } from "../../lib/proxy/stats.ts";
import type { Backend } from "../../lib/proxy/upstream.ts";
import { type ResumeRequest, ScpError, Session } from "../../lib/scp/mod.ts";
import { concat } from "../helpers/bytes.ts";
import { ManualLink } from "../helpers/manual_link.ts";
import { TestLog } from "../helpers/proxy.ts";
import { settled, turn } from "../helpers/turns.ts";

const NOTHING = new Uint8Array(0);
const ENDPOINT = { hostname: "192.0.2.1", port: 5 };
const bytes = (text: string) => new TextEncoder().encode(text);
const written = (link: ManualLink) => new TextDecoder().decode(concat(link.written));

/** A client's connection that settles nothing by itself. */
class ManualClientLink extends ManualLink implements ClientLink {
  readonly remote = ENDPOINT;
  readonly local = ENDPOINT;
}

/** A session of dialect plain whose every step is the test's: its client's end, and the dialling of its backend. */
function open({ reuseTime = 3_600_000 } = {}) {
  const client = new Session({ id: 7, secret: 1n, dialect: "plain", cacheSize: 1024 });
  const log = new TestLog();
  const stats = new Stats();
  const dialled = Promise.withResolvers<Backend>();
  let ended = 0;
  let released = 0;
  const session = new ProxySession(new Session({ id: 7, secret: 1n, dialect: "plain", cacheSize: 1024 }), ENDPOINT, {
    log,
    stats,
    budget: new CacheBudget(0),
    reuseTime: () => reuseTime,
    cacheSize: 1024,
    connect: () => dialled.promise,
    onEnded: () => ended++,
  });
  const link = new ManualClientLink();
  const run = () => session.run(link, { answer: bytes("answer "), rest: NOTHING, target: "", flag: 0 });
  const backend = new ManualLink();
  const connected = () => dialled.resolve({ link: backend, address: "backend", release: () => released++ });
  const resume = (onto: ClientLink, request: ResumeRequest = client.nextResume()) =>
    session.resume(onto, { request, rest: NOTHING, answer: (received) => bytes(`resumed at ${received} `) });
  return {
    client,
    session,
    log,
    stats,
    released: () => released,
    link,
    run,
    backend,
    connected,
    dialled,
    resume,
    ended: () => ended,
  };
}

/** The backend is there, and both ways are being read. */
async function relaying(options: { reuseTime?: number } = {}) {
  const all = open(options);
  const running = all.run();
  all.connected();
  await all.log.nth("session new");
  assert(all.link.reading && all.backend.reading);
  const links = [all.link, all.backend];
  return {
    ...all,
    /** Another connection of the client. */
    nextLink: () => links[links.push(new ManualClientLink()) - 1] as ManualClientLink,
    running,
    /** Ends the session, and lets what still reads come to its end. */
    async [Symbol.asyncDispose]() {
      all.session.abort("shutdown");
      while (!await settled(running)) {
        for (const link of links) if (link.reading) link.bring(null);
      }
    },
  };
}

const refusedWith = (code: number) => (error: unknown) => error instanceof ScpError && error.code === code;

Deno.test("run() ends a session whose answer could not be sent, and dials no backend", async () => {
  const { session, log, run, link, ended } = open();
  link.write = () => Promise.reject(new Error("reset"));
  await run();
  assert.equal(ended(), 1);
  assert.equal((await log.nth("session ended")).reason, "the answer could not be sent");
  session.abort("admin");
  assert.equal(ended(), 1, "it ended twice");
});

Deno.test("run() closes a backend that is reached after the session has ended", async () => {
  const { session, run, backend, connected, ended } = open();
  const running = run();
  await settled(running);
  session.stop();
  assert.equal(ended(), 1);
  connected();
  await running;
  assert.equal(backend.closed, true);
});

Deno.test("run() ends a session whose backend cannot be reached", async () => {
  const { run, dialled, link, log } = open();
  const running = run();
  dialled.reject(new Error("no upstream could be reached"));
  await running;
  assert.equal((await log.nth("session ended")).reason, "no upstream could be reached");
  assert.equal(link.closed, true);
});

Deno.test("a backend that fails is told with its reason, and the client gets the end", async () => {
  await using relay = await relaying();
  const { backend, link, log } = relay;
  backend.bring(new Error("connection reset"));
  assert.equal((await log.nth("upstream closed")).reason, "upstream failed: connection reset");
  assert.equal(link.writeClosed, true);
  assert.equal(link.closed, false, "the client may still be reading");
});

Deno.test("a backend that takes no more gets no more; what it still sends reaches the client", async () => {
  await using relay = await relaying();
  const { backend, link } = relay;
  backend.write = () => Promise.reject(new Error("broken pipe"));
  link.bring(bytes("one"));
  await turn();
  assert.equal(backend.writeClosed, true);
  link.bring(bytes("two"));
  await turn();
  backend.bring(bytes("last words"));
  await turn();
  assert.equal(written(link), "answer last words");
});

Deno.test("resume() waits for the old reader, and counts what it still brings before it answers", async () => {
  await using relay = await relaying();
  const { link, resume, nextLink, backend } = relay;
  const next = nextLink();
  const resumed = resume(next);
  assert.equal(link.closed, true);
  assert.equal(await settled(resumed), false, "it answered while the old connection was still being read");
  link.bring(bytes("late"));
  await resumed;
  assert.equal(written(next), "resumed at 4 ");
  await turn();
  assert.equal(written(backend), "late");
});

Deno.test("resume() that a later one overtook while it waited is refused with 403", async () => {
  await using relay = await relaying();
  const { link, resume, nextLink } = relay;
  const [first, second] = [nextLink(), nextLink()];
  const overtaken = assert.rejects(resume(first), refusedWith(403));
  const resumed = resume(second);
  link.bring(null);
  await overtaken;
  await resumed;
  assert.equal(written(first), "");
  assert.equal(written(second), "resumed at 0 ");
});

Deno.test("resume() of a session that ends while it waits is refused with 404", async () => {
  await using relay = await relaying();
  const { link, resume, nextLink, session } = relay;
  const next = nextLink();
  const refused = assert.rejects(resume(next), refusedWith(404));
  session.abort("admin");
  link.bring(null);
  await refused;
  assert.equal(written(next), "");
});

Deno.test("a connection that breaks while it is given what was missed is lost like any other, and the next resume gives it", async () => {
  await using relay = await relaying();
  const { backend, link, resume, client, nextLink, log } = relay;
  backend.bring(bytes("hello"));
  await turn();
  link.bring(null);
  await log.nth("session lost");
  const second = nextLink();
  second.write = () => Promise.reject(new Error("broke in the middle"));
  await resume(second);
  await log.nth("session lost", 2);
  second.bring(null);
  const third = nextLink();
  await resume(third);
  await turn();
  assert.equal(written(third), "resumed at 0 hello");
  assert.equal(client.received, 0);
});

Deno.test("reuse_time ends a session that stays lost, and not one that was resumed", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    await using relay = await relaying({ reuseTime: 1000 });
    const { link, resume, nextLink, ended } = relay;
    link.bring(null);
    await relay.log.nth("session lost");
    mock.timers.tick(999);
    const next = nextLink();
    await resume(next);
    mock.timers.tick(5000);
    assert.equal(ended(), 0, "the time of the first loss went on");
    next.bring(null);
    await relay.log.nth("session lost", 2);
    mock.timers.tick(999);
    assert.equal(ended(), 0);
    mock.timers.tick(1);
    assert.equal(ended(), 1);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("no more is read from the backend at once than can be sent again", async () => {
  await using relay = await relaying();
  const { backend, link, resume, nextLink } = relay;
  for (let i = 0; i < 3; i++) {
    backend.bring(new Uint8Array(backend.wanted).fill(i));
    while (!backend.reading) await turn();
  }
  const sent = concat(link.written).length - "answer ".length;
  link.write = () => Promise.reject(new Error("broke"));
  const last = backend.wanted;
  backend.bring(new Uint8Array(last).fill(9));
  await turn();
  link.bring(null);
  const next = nextLink();
  relay.client.open(new Uint8Array(sent));
  await resume(next);
  await turn();
  assert.deepEqual(concat(next.written).subarray(-last), new Uint8Array(last).fill(9));
});

Deno.test("stop() while the backend is being written to waits for that, and then ends its input", async () => {
  await using relay = await relaying();
  const { backend, link, session } = relay;
  const taken = Promise.withResolvers<number>();
  backend.write = () => taken.promise;
  link.bring(bytes("whole"));
  await turn();
  session.stop();
  assert.equal(backend.writeClosed, false, "the write under way was cut short");
  taken.resolve(5);
  await turn();
  assert.equal(backend.writeClosed, true);
});

Deno.test("what the backend sends after the session has ended is forgotten, until it closes or lingered too long", async () => {
  await using relay = await relaying();
  const { backend, link, session, running } = relay;
  session.abort("admin");
  link.bring(null);
  backend.bring(bytes("nobody hears this"));
  await turn();
  assert.equal(written(link), "answer ");
  backend.bring(null);
  await running;
});
