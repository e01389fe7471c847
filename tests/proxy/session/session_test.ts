import assert from "node:assert/strict";
import { mock } from "node:test";
import { type ClientLink, LINGER } from "../../../lib/link/link.ts";
import { CacheBudget } from "../../../lib/proxy/session/cache_budget.ts";
import type { BackendRequest } from "../../../lib/proxy/upstream/reach.ts";
import { ProxySession } from "../../../lib/proxy/session/session.ts";
import { Stats } from "../../../lib/proxy/stats.ts";
import type { Backend } from "../../../lib/proxy/upstream/upstream.ts";
import { type ResumeRequest, ScpError, Session } from "../../../lib/scp/mod.ts";
import { concat } from "../../helpers/bytes.ts";
import { ManualLink } from "../../helpers/manual_link.ts";
import { TestLog } from "../../helpers/proxy.ts";
import { settled, turn } from "../../helpers/turns.ts";

const NOTHING = new Uint8Array(0);
const ENDPOINT = { hostname: "192.0.2.1", port: 5 };
const bytes = (text: string) => new TextEncoder().encode(text);
const written = (link: ManualLink) => new TextDecoder().decode(concat(link.written));

/** A client's connection that settles nothing by itself. */
class ManualClientLink extends ManualLink implements ClientLink {
  readonly remote = ENDPOINT;
  readonly local = ENDPOINT;
}

/** Time stands still, for timers and for the clock, but for what the test lets pass. */
function stillTime() {
  mock.timers.enable({ apis: ["setTimeout"] });
  const real = performance.now;
  let now = 0;
  performance.now = () => now;
  return {
    pass: (ms: number) => {
      now += ms;
      mock.timers.tick(ms);
    },
    [Symbol.dispose]: () => {
      performance.now = real;
      mock.timers.reset();
    },
  };
}

interface OpenOptions {
  reuseTime?: number;
  budget?: CacheBudget;
  backend?: ManualLink;
}

/** A session of dialect plain whose every step is the test's: its client's end, and the dialling of its backend. */
function open(
  { reuseTime = 3_600_000, budget = new CacheBudget(0), backend = new ManualLink() }: OpenOptions = {},
) {
  const client = new Session({ id: 7, secret: 1n, dialect: "plain", cacheSize: 1024 });
  const log = new TestLog();
  const stats = new Stats();
  const dialled = Promise.withResolvers<Backend>();
  let asked: BackendRequest | undefined;
  let ended = 0;
  let released = 0;
  const session = new ProxySession(new Session({ id: 7, secret: 1n, dialect: "plain", cacheSize: 1024 }), ENDPOINT, {
    log,
    stats,
    budget,
    reuseTime: () => reuseTime,
    cacheSize: 1024,
    connect: (request) => {
      asked = request;
      return dialled.promise;
    },
    onEnded: () => ended++,
  });
  const link = new ManualClientLink();
  const run = () => session.run(link, { answer: bytes("answer "), rest: NOTHING, target: "", flag: 0 });
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
    /** What was asked of the upstreams. */
    asked: () => asked!,
    resume,
    ended: () => ended,
  };
}

/** The backend is there, and both ways are being read. */
async function relaying(options: OpenOptions = {}) {
  const all = open(options);
  const running = all.run();
  all.connected();
  await all.log.nth("session new");
  assert(all.link.reading && all.backend.reading);
  const links = [all.link, all.backend];
  return {
    ...all,
    /** Another connection of the client. */
    nextLink: (options: { autoWrite?: boolean } = {}) =>
      links[links.push(new ManualClientLink(options)) - 1] as ManualClientLink,
    running,
    /** Ends the session, and lets what still reads or writes come to its end. */
    async [Symbol.asyncDispose]() {
      all.session.abort("shutdown");
      // Not for ever: a test that fails is to say so.
      for (let turns = 0; turns < 100; turns++) {
        if (await settled(running)) return;
        for (const link of links) {
          if (link.reading) link.bring(null);
          if (link.writing) link.take(new Error("the test is over"));
        }
      }
      throw new Error("the session does not come to its end: something of it was left pending");
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
  await using relay = await relaying({ backend: new ManualLink({ autoWrite: false }) });
  const { backend, link, session } = relay;
  link.bring(bytes("whole"));
  await turn();
  session.stop();
  assert.equal(backend.writeClosed, false, "the write under way was cut short");
  backend.take();
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

Deno.test("run() gives its backend back once, when the session is over", async () => {
  const late = open();
  const running = late.run();
  await settled(running);
  late.session.stop();
  late.connected();
  await running;
  assert.equal(late.released(), 1);
  await using relay = await relaying();
  relay.session.abort("admin");
  assert.equal(relay.released(), 0, "the backend may still be sending");
  relay.link.bring(null);
  relay.backend.bring(null);
  await relay.running;
  assert.equal(relay.released(), 1);
});

Deno.test("abort() gives the dialling up", async () => {
  const { session, run, dialled, asked } = open();
  const running = run();
  await settled(running);
  assert.equal(asked().signal.aborted, false);
  session.abort("admin");
  assert.equal(asked().signal.aborted, true);
  dialled.reject(new Error("given up"));
  await running;
});

Deno.test("the backend ends while the client is away and lacks bytes: it resumes, and gets them and the end", async () => {
  await using relay = await relaying();
  const { backend, link, log, resume, nextLink, ended } = relay;
  link.write = () => Promise.reject(new Error("reset"));
  backend.bring(bytes("hello"));
  await log.nth("session lost");
  link.bring(null);
  await turn();
  backend.bring(null);
  await log.nth("upstream closed");
  assert.equal(ended(), 0);
  const next = nextLink();
  await resume(next);
  await turn();
  assert.equal(written(next), "resumed at 0 hello");
  assert.equal(next.writeClosed, true);
});

Deno.test("after the backend's end a client that stays has reuse_time to close", async () => {
  using time = stillTime();
  await using relay = await relaying({ reuseTime: 1000 });
  const { backend, link, log, ended } = relay;
  backend.bring(null);
  await log.nth("upstream closed");
  await turn();
  time.pass(999);
  assert.deepEqual([ended(), link.closed], [0, false]);
  time.pass(1);
  assert.deepEqual([ended(), link.closed], [1, true]);
  assert.equal((await log.nth("session ended")).reason, "upstream closed");
});

Deno.test("after the backend's end a client that is lost has reuse_time from its loss", async () => {
  using time = stillTime();
  await using relay = await relaying({ reuseTime: 1000 });
  const { backend, link, log, ended } = relay;
  backend.bring(null);
  await log.nth("upstream closed");
  time.pass(500);
  link.bring(null);
  await log.nth("session lost");
  time.pass(999);
  assert.equal(ended(), 0, "the time from the backend's end went on");
  time.pass(1);
  assert.equal(ended(), 1);
});

Deno.test("the backend ends while the client is away: reuse_time counts from the client's loss", async () => {
  using time = stillTime();
  await using relay = await relaying({ reuseTime: 1000 });
  const { backend, link, log, ended } = relay;
  link.bring(null);
  await log.nth("session lost");
  time.pass(500);
  backend.bring(null);
  await log.nth("upstream closed");
  await turn();
  time.pass(499);
  assert.equal(ended(), 0);
  time.pass(1);
  assert.equal(ended(), 1);
});

Deno.test("after the backend's end a client that resumes has reuse_time again, to take what it lacks and close", async () => {
  using time = stillTime();
  await using relay = await relaying({ reuseTime: 1000 });
  const { backend, link, log, resume, nextLink, ended } = relay;
  backend.bring(bytes("hello"));
  await turn();
  link.bring(null);
  await log.nth("session lost");
  time.pass(500);
  backend.bring(null);
  await log.nth("upstream closed");
  time.pass(300);
  const next = nextLink();
  await resume(next);
  await turn();
  assert.equal(written(next), "resumed at 0 hello");
  time.pass(999);
  assert.deepEqual([ended(), next.closed], [0, false]);
  time.pass(1);
  assert.deepEqual([ended(), next.closed], [1, true]);
});

Deno.test("the backend ends while a client does not take what it lacks: that has reuse_time", async () => {
  using time = stillTime();
  await using relay = await relaying({ reuseTime: 1000 });
  const { backend, link, log, resume, nextLink, ended } = relay;
  backend.bring(bytes("hello"));
  await turn();
  link.bring(null);
  await log.nth("session lost");
  const next = nextLink({ autoWrite: false });
  await resume(next);
  assert.equal(next.writing, true);
  backend.bring(null);
  await log.nth("upstream closed");
  await turn();
  time.pass(999);
  assert.deepEqual([ended(), next.writeClosed], [0, false]);
  time.pass(1);
  assert.deepEqual([ended(), next.closed], [1, true]);
});

Deno.test("when reuse_time is over the backend gets the end at once, and is closed when it lingers too long", async () => {
  using time = stillTime();
  await using relay = await relaying({ reuseTime: 1000 });
  const { backend, link, log, ended } = relay;
  link.bring(null);
  await log.nth("session lost");
  await turn();
  assert.equal(backend.writeClosed, false);
  time.pass(1000);
  assert.equal(ended(), 1);
  await turn();
  assert.equal(backend.writeClosed, true);
  time.pass(LINGER - 1);
  assert.equal(backend.closed, false, "it may still be sending");
  time.pass(1);
  assert.equal(backend.closed, true);
});

Deno.test("a resume that cannot be had is refused with 406, counted, and the end of the session", async () => {
  await using relay = await relaying();
  const { client, link, resume, nextLink, stats, ended } = relay;
  client.open(new Uint8Array(5)); // more than was ever sent
  const refused = assert.rejects(resume(nextLink()), refusedWith(406));
  link.bring(null);
  await refused;
  assert.deepEqual([stats.reuseFails, ended()], [1, 1]);
});

Deno.test("no more is read from the client at once than an upstream that is an SCP proxy can be sent again", async () => {
  await using relay = await relaying();
  const { link, backend } = relay;
  for (let i = 0; i < 5; i++) {
    assert(link.wanted <= 1024, `${link.wanted} bytes were asked for`);
    link.bring(new Uint8Array(link.wanted));
    while (!link.reading) await turn();
  }
  assert.equal(Math.max(...backend.written.map(({ length }) => length)), 1024);
});

Deno.test("the budget counts what a session holds, and no more once that has ended", async () => {
  const budget = new CacheBudget(0);
  await using relay = await relaying({ budget });
  const { backend, session } = relay;
  backend.bring(bytes("hello"));
  await turn();
  assert.equal(budget.inUse, session.describe().cache);
  assert(budget.inUse > 0);
  session.abort("admin");
  assert.equal(budget.inUse, 0);
});

Deno.test("the cache of a client that came back is not taken when others exceed the budget", async () => {
  const budget = new CacheBudget(2048);
  await using relay = await relaying({ budget });
  const { backend, link, log, resume, nextLink, session } = relay;
  backend.bring(bytes("hello"));
  await turn();
  link.bring(null);
  await log.nth("session lost");
  await resume(nextLink());
  budget.add(4096); // another session's
  assert.equal(budget.released, 0);
  assert(session.describe().cache > 0);
});

Deno.test("with the budget exceeded, a resume over a connection that lives still gets what it lacks", async () => {
  const budget = new CacheBudget(1024);
  await using relay = await relaying({ budget });
  const { backend, link, resume, nextLink } = relay;
  backend.bring(bytes("hello"));
  await turn();
  budget.add(4096); // another session's
  const next = nextLink();
  const resumed = resume(next);
  link.bring(null);
  await resumed;
  await turn();
  assert.equal(written(next), "resumed at 0 hello");
});

Deno.test("look() takes a client away that was silent for read_timeout, and not one that was heard", async () => {
  using time = stillTime();
  await using relay = await relaying();
  const { link, log, session } = relay;
  time.pass(900);
  session.look(1000);
  link.bring(bytes("x"));
  await turn();
  time.pass(600);
  session.look(1000);
  assert.equal(session.describe().state, "attached", "it was heard of since the last look");
  time.pass(999);
  session.look(1000);
  assert.equal(session.describe().state, "attached");
  time.pass(1);
  session.look(0);
  assert.equal(session.describe().state, "attached", "0 is no limit");
  session.look(1000);
  assert.match(String((await log.nth("session lost")).reason), /read_timeout/);
});

Deno.test("look() does not count the time that a client was away as its silence", async () => {
  using time = stillTime();
  await using relay = await relaying();
  const { link, log, session, resume, nextLink } = relay;
  link.bring(null);
  await log.nth("session lost");
  time.pass(5000);
  const next = nextLink();
  await resume(next);
  session.look(1000);
  assert.deepEqual([session.describe().state, next.closed], ["attached", false]);
});

Deno.test("look() leaves a client alone that has no backend yet, and one whose bytes wait for the backend", async () => {
  using time = stillTime();
  const early = open();
  const running = early.run();
  await settled(running);
  time.pass(5000);
  early.session.look(1000);
  assert.equal(early.link.closed, false, "there is no backend yet");
  early.session.abort("admin");
  early.dialled.reject(new Error("given up"));
  await running;
  await using relay = await relaying({ backend: new ManualLink({ autoWrite: false }) });
  const { link, backend, session } = relay;
  link.bring(bytes("x"));
  await turn();
  session.look(1000);
  time.pass(5000);
  session.look(1000);
  assert.equal(backend.writing, true);
  assert.equal(session.describe().state, "attached", "its bytes wait for the backend");
});

Deno.test("a session whose backend failed ends with that reason, also when its client goes before", async () => {
  await using relay = await relaying({ reuseTime: 20 });
  relay.backend.bring(new Error("connection reset"));
  await relay.log.nth("upstream closed");
  await turn();
  relay.link.bring(null);
  assert.equal((await relay.log.nth("session ended")).reason, "upstream failed: connection reset");
});
