import assert from "node:assert/strict";
import { type Config, parseConfig } from "../../../../lib/config.ts";
import { EpollPoller } from "../../../../lib/link/engine/epoll/epoll_poller.ts";
import { DescriptorCalls } from "../../../../lib/link/engine/passing/descriptor_calls.ts";
import { DescriptorSocket } from "../../../../lib/link/engine/passing/descriptor_socket.ts";
import { Descriptors } from "../../../../lib/link/engine/passing/descriptors.ts";
import { Parcel } from "../../../../lib/link/engine/passing/parcel.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import { formatEndpoint } from "../../../../lib/link/link.ts";
import { countSessions, type Destination } from "../../../../lib/proxy/data_plane.ts";
import {
  type InheritedListeners,
  startWorkers,
  type WorkerPool,
} from "../../../../lib/proxy/cluster/threads/worker_pool.ts";
import type { LaneAnswer } from "../../../../lib/proxy/cluster/threads/moving/lane.ts";
import { layoutAlone } from "../../../../lib/proxy/owner.ts";
import type { Moved, MovedIds } from "../../../../lib/proxy/session/move/moved.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, echo, readExactly } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { ownDescriptors } from "../../../helpers/own_descriptors.ts";
import { destinationOf, takeAll } from "../../../helpers/moving.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { TestLog, TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask, RawClient } from "../../../helpers/raw_client.ts";
import { turn, until } from "../../../helpers/turns.ts";

// Here, as they stay open: a test that opened one would be said to leak it.
if (Deno.build.os === "linux") DescriptorCalls.open();

const WORKERS = 3;
/** Where sockets can go to another process. */
const PASSABLE = { ignore: Deno.build.os !== "linux" || Deno.env.get("GOSCON_IO") === "deno" };

function configOf(keys: Record<string, unknown>): Config {
  const fixed = { workers: WORKERS, shutdown_timeout: "10ms", log: { level: "error" } };
  return parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...fixed, ...keys }), "f.yaml").config;
}

/** A pool that is stopped when the test is over, and the address of its first listener. */
async function open(
  keys: Record<string, unknown>,
): Promise<AsyncDisposable & { pool: WorkerPool; address: string; log: TestLog }> {
  const log = new TestLog();
  const pool = await startWorkers(configOf(keys), log);
  return { pool, log, address: formatEndpoint(pool.addresses[0]!), [Symbol.asyncDispose]: () => pool.stop() };
}

const ECHO = { hosts: [{ name: "one", addr: "builtin:echo" }] };

async function echoes(client: RawClient, at: number): Promise<void> {
  await client.send(pattern(at, 100));
  assertSameBytes(await client.receive(100), pattern(at, 100));
}

Deno.test("a session is resumed by whichever thread the connection comes to, and keeps every byte", async () => {
  await using open_ = await open(ECHO);
  const { pool, address } = open_;
  using client = await RawClient.open(address);
  // Of 40 connections at least one in 3 comes to another thread, unless the kernel does not spread them at all.
  for (let round = 0; round < 40; round++) {
    await client.send(pattern(round, 100));
    await client.resume();
    assertSameBytes(await client.receive(100), pattern(round, 100));
    await echoes(client, round);
  }
  const { stats, gauges } = await pool.snapshot();
  assert.equal(stats.resumes[200], 40);
  assert.equal(stats.accepts, 41);
  assert.equal(countSessions(gauges), 1);
  const session = await pool.session(client.id);
  assert.deepEqual([session?.received, session?.sent, session?.resumes], [8000, 8000, 40]);
});

Deno.test("threads have sessions of their own, and are counted, listed and ended together", async () => {
  await using open_ = await open(ECHO);
  const { pool, address } = open_;
  const clients = await Promise.all(Array.from({ length: 30 }, () => RawClient.open(address)));
  await Promise.all(clients.map((client) => echoes(client, 0)));
  const owners = new Set(clients.map(({ id }) => id % 4));
  assert.deepEqual([...owners].sort(), [0, 1, 2], "the kernel gave a thread no connection");
  const { total, sessions } = await pool.sessions({ limit: 7 });
  assert.deepEqual([total, sessions.length], [30, 7]);
  const all = await pool.sessions({ limit: 100 });
  assert.deepEqual(new Set(all.sessions.map(({ id }) => id)), new Set(clients.map(({ id }) => id)));
  const { gauges, stats, upstreams } = await pool.snapshot();
  assert.deepEqual(gauges.sessions, { connecting: 0, attached: 30, detached: 0 });
  assert.equal(gauges.bytesReceived, 3000);
  assert.equal(stats.sessionsBegun, 30);
  assert.deepEqual(upstreams.map(({ sessions }) => sessions), [30], "hosts are counted by all threads together");
  for (const client of clients) {
    assert.equal(await pool.endSession(client.id), true);
    assert.equal(await pool.endSession(client.id), false);
    await client.receiveToEnd();
    client[Symbol.dispose]();
  }
  assert.equal((await pool.snapshot()).stats.sessionsEnded.admin, 30);
});

Deno.test("clients of any thread's sessions are told to move, and what version 2 counts is counted together", async () => {
  await using open_ = await open(ECHO);
  const { pool, address } = open_;
  using clients = new DisposableStack();
  const acked = await Promise.all(Array.from({ length: 30 }, () => AckedClient.open(address)));
  for (const client of acked) clients.use(client);
  assert.equal(new Set(acked.map(({ id }) => id % 4)).size, WORKERS, "the kernel gave a thread no connection");
  const old = clients.use(await RawClient.open(address));
  for (const client of acked) {
    assert.equal(await pool.moveSession(client.id, "tcp://b.example:1"), "moved");
    await client.until(() => client.moves.length === 1);
    assert.deepEqual(client.moves, ["tcp://b.example:1"]);
  }
  assert.equal(await pool.moveSession(old.id, ""), "version 1");
  const ended = acked.slice(0, 10);
  for (const { id } of ended) assert.equal(await pool.endSession(id), true);
  assert.equal(await pool.moveSession(ended[0]!.id, ""), "not there");
  for (const client of ended) assert.equal(await client.askEnd(), 3);
  const { stats, gauges: { versions, gone } } = await pool.snapshot();
  assert.deepEqual([versions, gone, stats.moves, stats.keyDerivations], [{ 1: 1, 2: 20 }, 10, 30, 30]);
  assert.deepEqual(stats.resumes, { 410: 10 });
  assert.equal((await pool.sessions({ limit: 100, version: 2 })).total, 20);
});

Deno.test("limits hold for all threads together", async () => {
  await using open_ = await open({ ...ECHO, limits: { sessions: 5 } });
  const { pool, address } = open_;
  const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(address)));
  for (let i = 0; i < 10; i++) {
    const { link, answer } = await ask(address, "0\n782riWdFIwE=\n\n0");
    link.close();
    assert.equal(answer, "0\n501");
  }
  await pool.reconfigure(configOf({ ...ECHO, limits: { sessions: 0, sessions_per_ip: 3 } }));
  const more = await Promise.all(Array.from({ length: 3 }, () => RawClient.open(address)));
  for (let i = 0; i < 10; i++) {
    const { link, answer } = await ask(address, "0\n782riWdFIwE=\n\n0");
    link.close();
    assert.equal(answer, "0\n501");
  }
  const { refused } = (await pool.snapshot()).stats;
  assert.deepEqual([refused.sessions, refused.sessions_per_ip], [10, 10]);
  await pool.endSession(more[0]!.id);
  await more[0]!.receiveToEnd();
  // The thread of the session tells the one that counts; that is not waited for.
  for (let answer = "0\n501"; answer === "0\n501"; await turn()) {
    const asked = await ask(address, "0\n782riWdFIwE=\n\n0");
    asked.link.close();
    answer = asked.answer;
  }
  for (const client of [...clients, ...more]) client[Symbol.dispose]();
});

Deno.test("reconfigure() holds in every thread, keeps ports, and changes nothing when an address cannot be had", async () => {
  await using one = new Backend();
  await using open_ = await open({ hosts: [{ addr: "builtin:echo" }] });
  const { pool, address } = open_;
  const before = pool.addresses;
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listen = [...TestProxy.LISTEN.listen, { tcp: `127.0.0.1:${taken.addr.port}` }];
  const hosts = [{ addr: one.address }];
  await assert.rejects(pool.reconfigure(configOf({ hosts, listen })), /the address is in use/);
  assert.deepEqual(pool.addresses, before);
  using client = await RawClient.open(address);
  await echoes(client, 0);
  taken.close();
  await pool.reconfigure(configOf({ hosts, listen }));
  assert.deepEqual(pool.addresses, [...before, taken.addr].map(({ hostname, port }) => ({ hostname, port })));
  for (let i = 0; i < 10; i++) {
    using next = await RawClient.open(i % 2 ? address : formatEndpoint(pool.addresses[2]!));
    const far = await one.accept();
    await next.send(pattern(0, 10));
    const buffer = new Uint8Array(10);
    await far.read(buffer);
    assertSameBytes(buffer, pattern(0, 10));
  }
  await echoes(client, 1);
});

Deno.test("an address in use is told when the threads are started", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const config = configOf({ ...ECHO, listen: [{ tcp: `127.0.0.1:${taken.addr.port}` }] });
  await assert.rejects(
    startWorkers(config, new TestLog()),
    /^Error: Cannot listen on 127\.0\.0\.1:\d+: the address is in use$/,
  );
  taken.close();
});

for (const count of [1, 2, 4]) {
  Deno.test(
    `clients of 2 threads are served by ${count} of another pool that goes on with what they listen on`,
    PASSABLE,
    async () => {
      await using open_ = await open({ ...ECHO, workers: 2 });
      const { pool, address } = open_;
      using before = await RawClient.open(address);
      const passed = await pool.passListeners();
      assert.deepEqual(passed.map(({ port, descriptors: { length } }) => [port, length]), [[0, 2], [0, 2]]);
      assert.deepEqual(passed.map(({ hadPort }) => hadPort), pool.addresses.map(({ port }) => port));
      // The second listener is gone, another one is new.
      const config = configOf({ ...ECHO, workers: count, listen: [{ tcp: "127.0.0.1:0" }, { tcp: "[::1]:0" }] });
      const inherited = [passed[0], undefined];
      await using next = await startedWith(config, inherited);
      assert.deepEqual(next.pool.addresses[0], pool.addresses[0]);
      await pool.setListening("paused");
      // They wait: for whom is not known yet.
      const waiting = Array.from({ length: 20 }, () => RawClient.open(address));
      await next.pool.setListening("on");
      await pool.setListening("off");
      const clients = await Promise.all(waiting);
      // So many that no thread has none by chance.
      for (let i = 0; i < 80; i++) clients.push(await RawClient.open(address));
      clients.push(await RawClient.open(formatEndpoint(next.pool.addresses[1]!)));
      for (const client of clients) {
        await echoes(client, 0);
        client[Symbol.dispose]();
      }
      assert.equal((await next.pool.snapshot()).stats.sessionsBegun, 101);
      const owners = new Set(clients.map(({ id }) => id % count));
      assert.equal(owners.size, count, "a thread got no connection");
      await echoes(before, 0);
      // Nobody has it any more.
      new Descriptors(passed[1]!.descriptors)[Symbol.dispose]();
      await assert.rejects(RawClient.open(formatEndpoint({ hostname: "127.0.0.1", port: passed[1]!.hadPort })));
    },
  );
}

/** Workers that get nothing while they are to stall, and then all of it. */
class StallingWorker extends Worker {
  static last: StallingWorker | undefined;
  #waiting: unknown[] | undefined;

  constructor(...options: ConstructorParameters<typeof Worker>) {
    super(...options);
    StallingWorker.last = this;
  }

  override postMessage(message: unknown): void {
    if (this.#waiting) this.#waiting.push(message);
    else super.postMessage(message);
  }

  stall(): void {
    this.#waiting = [];
  }

  goOn(): void {
    const waiting = this.#waiting!;
    this.#waiting = undefined;
    for (const message of waiting) this.postMessage(message);
  }
}

/** A pool whose last thread can stall. */
async function openStalling(keys: Record<string, unknown>) {
  const { Worker } = globalThis;
  globalThis.Worker = StallingWorker;
  try {
    return { ...await open(keys), thread: () => StallingWorker.last! };
  } finally {
    globalThis.Worker = Worker;
  }
}

Deno.test("a thread that is hung when clients are accepted again accepts them when it goes on", async () => {
  const { pool, address, thread } = await openStalling({ ...ECHO, workers: 2 });
  await pool.setListening("paused");
  thread().stall();
  while (pool.hung.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await pool.setListening("on");
  thread().goOn();
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.open(address)));
  assert.equal(new Set(clients.map(({ id }) => id % 2)).size, 2, "the kernel gave a thread no connection");
  for (const client of clients) client[Symbol.dispose]();
  await pool.stop();
});

/** Rings of io_uring that this process has. */
function rings(): number[] {
  return [...ownDescriptors()].flatMap(([fd, what]) => what === "anon_inode:[io_uring]" ? [fd] : []);
}

Deno.test("a thread that can wait for its sockets no more counts as hung, and holds no end up", {
  ignore: !NATIVE.includes("uring"),
}, async () => {
  const others = rings();
  await using open_ = await open({ ...ECHO, workers: 2, io: "uring" });
  const { pool, address } = open_;
  const ring = rings().find((fd) => !others.includes(fd))!;
  const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.open(address)));
  await Promise.all(clients.map((client) => echoes(client, 0)));
  const echoing = clients.map(async (client) => {
    for (let at = 100;; at += 100) await echoes(client, at); // so that no thread sleeps
  });
  const libc = Deno.dlopen("libc.so.6", { dup2: { parameters: ["i32", "i32"], result: "i32" } });
  const system = System.open();
  const bell = system.createBell();
  assert.equal(libc.symbols.dup2(bell, ring), ring); // what it waits by is no ring from now on
  system.close(bell);
  libc.close();
  while (pool.hung.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(pool.hung.length, 1);
  for (const client of clients) client[Symbol.dispose]();
  await Promise.allSettled(echoing);
});

Deno.test("of listeners that not all threads pass no descriptor is left", PASSABLE, async () => {
  const { pool, thread } = await openStalling({ ...ECHO, workers: 2 });
  new Descriptors((await pool.passListeners()).flatMap(({ descriptors }) => descriptors))[Symbol.dispose]();
  const before = ownDescriptors();
  thread().stall();
  await assert.rejects(pool.passListeners(), /thread 1 does not answer/);
  thread().goOn();
  await until(() => ownDescriptors().size <= before.size, () => `descriptors: ${[...ownDescriptors()]}`);
  await pool.stop();
});

Deno.test(
  "a thread that does not answer while sessions go to another process holds nothing up, and keeps its own",
  PASSABLE,
  async () => {
    await using backend = new Backend();
    const { pool, address, thread } = await openStalling({
      hosts: [{ addr: backend.address }],
      workers: 1,
      upgrade_timeout: "1s",
    });
    using client = await RawClient.open(address);
    const far = await backend.accept();
    using to = new Lanes();
    const moving = pool.moveOut(to);
    await moving.next(); // the ids
    thread().stall();
    await assert.rejects(moving.next(), /a thread does not answer/);
    (await to.far).close(); // it is ended then
    thread().goOn();
    const { stoodStill, lost } = await pool.endMoving(true);
    assert.deepEqual([stoodStill, lost], [[], 0]);
    await client.send(pattern(0, 100));
    assertSameBytes(await readExactly(far, 100), pattern(0, 100));
    await client.resume();
    await pool.stop();
  },
);

/** Another process, as far as lanes to it can be opened: what comes over them is the test's to take. */
class Lanes implements Destination, Disposable {
  readonly layout = layoutAlone(1);
  readonly onDatagrams = () => {};
  readonly #poller = new EpollPoller(System.open());
  readonly #opened: PromiseWithResolvers<Parcel> = Promise.withResolvers();

  openLane(): Promise<number> {
    const [near, far] = System.open().socketPair();
    this.#opened.resolve(new Parcel(new DescriptorSocket(this.#poller, far)));
    return Promise.resolve(near);
  }

  /** The other end of the first lane. */
  get far(): Promise<Parcel> {
    return this.#opened.promise;
  }

  [Symbol.dispose](): void {
    this.#opened.resolve(undefined as never);
    void this.#opened.promise.then((far) => far?.close()).then(() => this.#poller.stop());
  }
}

Deno.test(
  "before any session goes to another process all ids are told, and what begins meanwhile goes too, also to other threads",
  PASSABLE,
  async () => {
    await using backend = new Backend();
    await using open_ = await open({ hosts: [{ addr: backend.address }], workers: 2 });
    await using next = await open({ hosts: [{ addr: backend.address }], workers: 3 });
    const { pool, address } = open_;
    const ids = new Set<number>();
    using clients = new DisposableStack();
    const begin = async () => {
      ids.add(clients.use(await RawClient.open(address)).id);
      await backend.accept();
    };
    for (let i = 0; i < 20; i++) await begin();
    const to = destinationOf(next.pool);
    const moving = pool.moveOut(to);
    const { pieces } = (await moving.next()).value!;
    assert.deepEqual(new Set((pieces as MovedIds[]).flatMap(({ ids }) => ids)), ids);
    for (let i = 0; i < 20; i++) await begin();
    await takeAll(moving, next.pool);
    await pool.endMoving(false);
    await takeAll(pool.moveLate(to), next.pool);
    await pool.endMoving(false);
    const moved = await next.pool.sessions({ limit: 100 });
    assert.deepEqual(new Set(moved.sessions.map(({ id }) => id)), ids);
    assert.equal(countSessions((await pool.snapshot()).gauges), 0);
  },
);

for (const how of ["is gone", "goes on"] as const) {
  Deno.test(
    `when the other process breaks a lane and ${how} it has what it said it takes${
      how === "is gone" ? "" : ", and maybe the others"
    }`,
    PASSABLE,
    async () => {
      await using backend = new Backend();
      backend.serve(echo);
      await using open_ = await open({ hosts: [{ addr: backend.address }], workers: 1 });
      const { pool, address } = open_;
      using clients = new DisposableStack();
      const all: RawClient[] = [];
      for (let i = 0; i < 4; i++) all.push(clients.use(await RawClient.open(address)));
      using to = new Lanes();
      const moving = pool.moveOut(to);
      await moving.next(); // the ids
      const going = moving.next();
      const far = await to.far;
      const ids: number[] = [];
      for (let i = 0; i < 4; i++) {
        using message = (await far.receive())!;
        const { session } = message.data as { session: Extract<Moved, { snapshot: unknown }> };
        assert.equal(message.descriptors.numbers.length, 2);
        ids.push(session.snapshot.session.id);
      }
      const answers: LaneAnswer[] = [
        { step: "taken" },
        { step: "goes on", stoodStill: 7 },
        { step: "refused", reason: "it is full" },
        { step: "taken" },
      ];
      for (const answer of answers) await far.send({ ...answer });
      far.close();
      const told = [(await going).value!];
      await assert.rejects(moving.next(), /broken off|gone/);
      told.push(await pool.endMoving(how === "is gone"));
      assert.deepEqual(told.flatMap(({ stoodStill }) => stoodStill), [7]);
      assert.deepEqual(told.flatMap(({ refused }) => refused), ["it is full"]);
      assert.equal(told.reduce((sum, { lost }) => sum + lost, 0), 1);
      const left = how === "is gone" ? [ids[1], ids[3]] : [ids[1]];
      const here = await pool.sessions({ limit: 10 });
      assert.deepEqual(new Set(here.sessions.map(({ id }) => id)), new Set(left));
      for (const client of all) if (left.includes(client.id)) await echoes(client, 0);
    },
  );
}

/** A pool that goes on with what another one listens on. */
async function startedWith(config: Config, inherited: InheritedListeners) {
  const pool = await startWorkers(config, new TestLog(), { inherited });
  return { pool, [Symbol.asyncDispose]: () => pool.stop() };
}

/** So many hosts, from the `from`th on. */
function hostsFrom(from: number, count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, i) => ({ name: `host_${from + i}`, addr: "builtin:echo", max_sessions: 2 }));
}

/** Begins sessions one by one until so many have got no backend; how many have. */
async function sessionsThatGetIn(address: string, target: string, refused: number): Promise<number> {
  using clients = new DisposableStack();
  for (let served = 0, givenUp = 0;;) {
    const client = clients.use(await RawClient.open(address, { target }));
    // Who is given up has the end of the stream at once.
    await client.send(pattern(0, 10)).catch(() => {});
    if ((await client.receive(10).catch(() => [])).length === 10) served++;
    else if (++givenUp === refused) return served;
  }
}

Deno.test("max_sessions of a new host holds over all threads, however many hosts have come and gone", async () => {
  await using open_ = await open({ ...ECHO, workers: 2 });
  const { pool, address, log } = open_;
  for (let i = 0; i < 3; i++) await pool.reconfigure(configOf({ workers: 2, hosts: hostsFrom(2000 * i, 2000) }));
  assert.equal(await sessionsThatGetIn(address, "host_5999", 20), 2);
  assert.deepEqual(log.events, []);
});

Deno.test("that hosts are too many to be known of together is told once, and when it comes anew", async () => {
  const few = { workers: 2, hosts: hostsFrom(1000, 4000) };
  const many = { workers: 2, hosts: hostsFrom(0, 4100) };
  await using open_ = await open(many);
  const { pool, log } = open_;
  await pool.reconfigure(configOf(many));
  assert.deepEqual(log.events, [{ event: "too many hosts to know of together", beyond: 4, most: 4096 }]);
  await pool.reconfigure(configOf(few));
  await pool.reconfigure(configOf(many));
  assert.equal(log.events.length, 2);
});
