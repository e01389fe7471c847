/** What a session does with what is on its way to its client, and owed by either end. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { CacheBudget } from "../../../lib/proxy/session/cache/cache_budget.ts";
import type { HeldUp, InFlight } from "../../../lib/proxy/session/in_flight.ts";
import { ProxySession } from "../../../lib/proxy/session/session.ts";
import { Stats } from "../../../lib/proxy/stats.ts";
import type { Backend } from "../../../lib/proxy/upstream/upstream.ts";
import { Session } from "../../../lib/scp/mod.ts";
import { ManualFlow, ManualFlowLink } from "../../helpers/manual_flow.ts";
import { TestLog } from "../../helpers/proxy.ts";
import { turn } from "../../helpers/turns.ts";

const ENDPOINT = { hostname: "192.0.2.1", port: 5 };
const ANSWER = 7;
const answer = () => new Uint8Array(ANSWER);
const NOTHING = new Uint8Array(0);

/** A clock that goes on as the test says. */
function manualClock() {
  const real = performance.now;
  let now = 0;
  performance.now = () => now;
  return {
    pass: (ms: number) => void (now += ms),
    [Symbol.dispose]: () => void (performance.now = real),
  };
}

/** A flow whose other end's system acknowledges what the test says. */
class SlowFlow extends ManualFlow {
  acknowledged = 0;
  owed = 0;

  /** Bytes that it took. */
  get taken(): number {
    return this.writes.reduce((sum, n) => sum + n, 0);
  }

  override unacknowledged(): number {
    return this.taken - this.acknowledged;
  }

  override silence(): number {
    return this.owed;
  }

  /** Brings as many bytes as are wanted at once, at most `most` of them; nothing while it is paused. */
  flow(most = Infinity): void {
    if (this.isHeard) this.bring(new Uint8Array(Math.min(this.most, most)));
  }

  get link(): ManualFlowLink {
    return Object.assign(new ManualFlowLink(), { flow: this });
  }
}

/** A session of dialect plain, with a backend, both of whose ends the test is. */
async function relaying({ cacheSize = 1000, isBounded = true, budget = new CacheBudget(0) } = {}) {
  const keys = { id: 7, secret: 1n, dialect: "plain", cacheSize } as const;
  const client = new Session(keys);
  const log = new TestLog();
  const heldUp = new Set<HeldUp>();
  const inFlight = { isBounded, hold: (session: HeldUp) => void heldUp.add(session) };
  const backend = new SlowFlow();
  const session = new ProxySession(new Session(keys), ENDPOINT, { cacheSize, onGone: () => {} }, {
    log,
    stats: new Stats(),
    budget,
    reuseTime: () => 3_600_000,
    inFlight: inFlight as unknown as InFlight,
    connect: () => Promise.resolve<Backend>({ link: backend.link, name: "", address: "backend", release: () => {} }),
    onEnded: () => {},
    onClosed: () => {},
    onLeft: () => {},
  });
  const first = new SlowFlow();
  session.run(first.link, { answer: answer(), rest: NOTHING, target: "", flag: 0 });
  await log.nth("session new");
  first.acknowledged = ANSWER;
  const ask = () => heldUp.forEach((session) => session.goOn() && heldUp.delete(session));
  ask();
  return {
    session,
    log,
    first,
    backend,
    inFlight,
    /** Asks those that are held up, once. */
    ask,
    /** Resumes with so many bytes received, over another connection. */
    resume: async (received: number) => {
      const next = new SlowFlow();
      client.open(new Uint8Array(received - client.received));
      session.resume(next.link, { request: client.nextResume(), rest: NOTHING, answer });
      await turn();
      return next;
    },
    [Symbol.dispose]: () => session.abort("shutdown"),
  };
}

/** Brings as much as is wanted, until nothing is. */
function flood(backend: SlowFlow): void {
  for (let reads = 0; !backend.isPaused && reads < 1000; reads++) backend.flow();
}

Deno.test("no more is sent than can be sent again, however little is acknowledged", async () => {
  for (const cacheSize of [1, 2, 3, 5, 7, 64, 1000, 1001, 1002, 1003]) {
    using all = await relaying({ cacheSize });
    const { first, backend, ask, session, resume } = all;
    const sent = () => session.bytes.sent;
    for (let round = 0; round < 5; round++) {
      flood(backend);
      ask();
      assert(first.taken - first.acknowledged <= cacheSize, `${first.unacknowledged()} of ${cacheSize}`);
      assert(first.taken - first.acknowledged > cacheSize / 2);
      first.acknowledged += Math.ceil(cacheSize / 2);
      ask();
    }
    // What was acknowledged came, and no more; so each time anew, with a read of the backend more that was held.
    let received = first.acknowledged - ANSWER;
    for (let round = 0; round < 5; round++) {
      const next = await resume(received);
      assert.equal(next.taken, ANSWER + sent() - received);
      flood(backend);
      ask();
      assert(sent() - received <= cacheSize, `${sent() - received} of ${cacheSize}`);
      received += Math.min(sent() - received, Math.floor(cacheSize / 5));
    }
  }
});

Deno.test("whatever is acknowledged and lost, whenever, a client can resume", async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("bring"), n: fc.integer({ min: 1, max: 300 }) }),
      fc.record({ kind: fc.constant("acknowledge"), n: fc.integer({ min: 1, max: 600 }) }),
      fc.record({ kind: fc.constant("room"), n: fc.integer({ min: 0, max: 600 }) }),
      fc.record({ kind: fc.constant("resume"), n: fc.constant(0) }),
    ),
    { minLength: 10, maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 1000 })),
      steps,
      async (cacheSize, steps) => {
        using all = await relaying({ cacheSize });
        const { first, backend, ask, session, resume } = all;
        let [flow, received] = [first, 0];
        for (const { kind, n } of steps) {
          if (kind === "bring") backend.flow(n);
          else if (kind === "room") flow.room === Infinity ? flow.room = n : flow.take(n);
          else if (kind === "acknowledge") {
            const acked = Math.min(n, flow.unacknowledged());
            flow.acknowledged += acked;
            received += Math.min(acked, Math.max(0, flow.acknowledged - ANSWER));
          } else if (kind === "resume") {
            flow = await resume(received);
          }
          ask();
        }
        assert.equal((await resume(received)).taken, ANSWER + session.bytes.sent - received);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("with in_flight unbounded as much is sent as the system takes; a reload bounds it", async () => {
  using all = await relaying({ isBounded: false });
  const { first, backend, inFlight, ask } = all;
  for (let i = 0; i < 10; i++) backend.flow();
  assert.equal(first.unacknowledged(), 10_000);
  inFlight.isBounded = true;
  backend.flow();
  assert.equal(backend.isPaused, true);
  first.acknowledged = first.taken;
  ask();
  assert.deepEqual([backend.isPaused, backend.most], [false, 250]);
});

Deno.test("a cache that has to shrink keeps what was not acknowledged", async () => {
  const budget = new CacheBudget(300_000);
  using all = await relaying({ cacheSize: 2 ** 18, budget });
  const { first, backend, session, log, resume } = all;
  for (let i = 0; i < 20; i++) {
    first.acknowledged = first.taken;
    backend.flow(10_000);
  }
  for (let i = 0; i < 5; i++) backend.flow(10_000);
  const received = first.acknowledged - ANSWER;
  budget.add(100_000); // another session's
  assert.deepEqual([log.of("resend cache shrunk").length, session.describe().cache], [1, 2 ** 17]);
  const next = await resume(received);
  assert.equal(next.taken, ANSWER + session.bytes.sent - received);
});

/** Looks at a session with these two values of `ack_timeout`. */
const look = (session: ProxySession, client: number, backend: number) => session.look(0, client, backend);

Deno.test("a client is lost when it owes an answer for ack_timeout, and not while it owes none", async () => {
  using clock = manualClock();
  using all = await relaying();
  const { first, backend, session, log } = all;
  backend.flow(100);
  for (let i = 0; i < 100; i++) {
    look(session, 1000, 0);
    clock.pass(1000);
  }
  first.owed = 10;
  look(session, 1000, 0);
  clock.pass(999);
  first.owed = 1009;
  look(session, 1000, 0);
  assert.equal(log.of("session lost").length, 0);
  clock.pass(1);
  first.owed = 1010;
  look(session, 1000, 0);
  assert.equal(log.of("session lost")[0]!.reason, "nothing was acknowledged for 1000 ms (ack_timeout)");
  assert.equal(first.isClosed, true);
});

Deno.test("a client that resumed is watched although nothing new is sent", async () => {
  using clock = manualClock();
  using all = await relaying();
  const { first, backend, session, log, resume } = all;
  backend.flow(100);
  first.acknowledged = first.taken;
  look(session, 1000, 0);
  const next = await resume(50);
  next.owed = 5000;
  look(session, 1000, 0);
  assert.equal(next.isClosed, false);
  clock.pass(1000);
  look(session, 1000, 0);
  assert.equal(next.isClosed, true);
  assert.equal(log.of("session lost").length, 2);
});

Deno.test("a backend is given up when it owes an answer for upstream_option.ack_timeout", async () => {
  using clock = manualClock();
  using all = await relaying();
  const { first, backend, session, log } = all;
  first.flow(10);
  backend.owed = 5000;
  look(session, 0, 1000);
  clock.pass(999);
  look(session, 0, 1000);
  assert.equal(log.of("upstream closed").length, 0);
  clock.pass(1);
  look(session, 0, 1000);
  assert.match(String(log.of("upstream closed")[0]!.reason), /nothing was acknowledged for 1000 ms \(ack_timeout\)/);
  assert.equal(backend.isClosed, true);
});
