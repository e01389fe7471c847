import assert from "node:assert/strict";
import type { Engine } from "../../../../lib/link/engine/engine.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import { writeAll } from "../../../../lib/link/link.ts";
import { flowOf } from "../../../../lib/link/pumped_flow.ts";
import type { Packed } from "../../../../lib/proxy/session/move/packed.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, readExactly } from "../../../helpers/backend.ts";
import { BareWebSocket } from "../../../helpers/bare_web_socket.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { engineOf, NATIVE } from "../../../helpers/engine.ts";
import { END, give, moveAll } from "../../../helpers/moving.ts";
import { ownDescriptors } from "../../../helpers/own_descriptors.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask, RawClient, tcp } from "../../../helpers/raw_client.ts";
import { turn, until } from "../../../helpers/turns.ts";

/** A number that no descriptor has. */
const NONE = 2 ** 20 + 5;
/** The request for a new session. */
const NEW = "0\n782riWdFIwE=\n\n0";
const LISTEN = [{ tcp: "127.0.0.1:0" }, { ws: "127.0.0.1:0" }];

/** Two proxies of one backend, and engines of their own. */
class Two implements AsyncDisposable {
  readonly backend = new Backend();
  readonly old: TestProxy;
  readonly next: TestProxy;
  readonly #engines: Engine[] = [engineOf(NATIVE[0]!), engineOf(NATIVE.at(-1)!)];

  constructor(keys: Record<string, unknown> = {}) {
    const all = { hosts: [{ addr: this.backend.address, max_sessions: 50 }], listen: LISTEN, shutdown_timeout: "10ms" };
    [this.old, this.next] = this.#engines.map((engine) => TestProxy.start({ ...all, ...keys }, { engine })) as [
      TestProxy,
      TestProxy,
    ];
  }

  async sizes(): Promise<[number, number]> {
    return [await this.old.size(), await this.next.size()];
  }

  /** What the hosts have, at each. */
  async atHosts(): Promise<number[]> {
    const both = await Promise.all([this.old, this.next].map(({ proxy }) => proxy.snapshot()));
    return both.flatMap(({ upstreams }) => upstreams.map(({ sessions }) => sessions));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.old.stop(), this.next.stop()]);
    await this.backend[Symbol.asyncDispose]();
    for (const engine of this.#engines) await engine.close();
  }
}

function test(what: string, run: () => Promise<void>): void {
  Deno.test(what, { ignore: NATIVE.length === 0 }, async () => {
    const before = ownDescriptors();
    await run();
    await until(() => ownDescriptors().size <= before.size, () => `descriptors: ${[...ownDescriptors()]}`);
  });
}

/** What a request is answered with. */
async function codeOf(address: string, content: string): Promise<string> {
  const { link, answer } = await ask(address, content);
  link.close();
  return answer.split("\n")[1]!.split(" ")[0]!;
}

/** Takes all pieces, which somebody must take. */
async function pieces(proxy: TestProxy): Promise<Packed[]> {
  return (await Array.fromAsync(proxy.proxy.moveOut())).flat();
}

/** That engine, with another way to adopt. */
function adopting(engine: Engine, adopt: Engine["adopt"]): Engine {
  return new Proxy(engine, {
    get: (of, key) => {
      if (key === "adopt") return adopt;
      const value = Reflect.get(of, key, of);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

/** Whether a value is made of plain things only. */
function isPlain(value: unknown): boolean {
  if (value === undefined || ["number", "string", "boolean"].includes(typeof value)) return true;
  if (value instanceof Uint8Array) return true;
  if (Array.isArray(value)) return value.every(isPlain);
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype &&
    Object.values(value).every(isPlain);
}

test("sessions of both versions go over: their connections go on, and both proxies count right", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using one = await RawClient.open(old.address);
  const farOne = await backend.accept();
  using other = await AckedClient.open(old.address);
  const farOther = await backend.accept();
  assert.deepEqual(await two.atHosts(), [2, 0]);
  const packed = await pieces(old);
  assert.deepEqual(packed.map(({ data: { kind } }) => kind), ["ids", "session", "acked session"]);
  assert(packed.every(({ data }) => isPlain(data)));
  assert.deepEqual(await two.sizes(), [0, 0]);
  give(next, packed);
  assert.deepEqual([await two.sizes(), await two.atHosts()], [[0, 2], [0, 2]]);
  for (const [client, far] of [[one, farOne], [other, farOther]] as const) {
    await client.send(pattern(0, 5000, 1));
    assertSameBytes(await readExactly(far, 5000), pattern(0, 5000, 1));
    await writeAll(far, pattern(0, 5000, 2));
    assertSameBytes(await client.receive(5000), pattern(0, 5000, 2));
    const info = await next.proxy.session(client.id);
    assert.deepEqual([info?.received, info?.sent, info?.upstream], [5000, 5000, backend.address]);
  }
  assert.deepEqual([old, next].map(({ log }) => log.of("session ended").length), [0, 0]);
  // Clients that come again come to the new one.
  for (const client of [one, other]) {
    client.address = next.address;
    await client.resume();
  }
  assert.deepEqual([(await old.stats()).closes, (await next.stats()).closes], [0, 2]);
  for (const { id } of [one, other]) await next.proxy.endSession(id);
  const stats = [await old.stats(), await next.stats()];
  assert.deepEqual(stats.map(({ sessionsEnded: { admin }, bytesSent }) => [admin, bytesSent]), [[0, 0], [2, 10_000]]);
  assert.deepEqual(stats.map(({ sessionsBegun }) => sessionsBegun), [2, 0]);
});

test("who comes while sessions go over is told to try again: to the old one for what has left, to the new one for what has not come", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using one = await RawClient.open(old.address);
  await backend.accept();
  using other = await AckedClient.open(old.address);
  await backend.accept();
  const moving = old.proxy.moveOut(1);
  const [ids] = (await moving.next()).value!;
  assert.equal(await codeOf(next.address, one.resumeContent()), "404");
  next.proxy.moveIn(ids!.data, []);
  assert.equal(await codeOf(next.address, one.resumeContent()), "501");
  assert.equal(await codeOf(next.address, other.resumeContent()), "501");
  // Not gone yet: it goes on here.
  await one.resume();
  const first = (await moving.next()).value!;
  assert.equal(await codeOf(old.address, one.resumeContent()), "501");
  await other.resume();
  give(next, first);
  one.address = next.address;
  await one.resume();
  for await (const packed of moving) give(next, packed);
  other.address = next.address;
  await other.resume();
  assert.deepEqual(await two.sizes(), [0, 2]);
  // Who was in the middle of a handshake.
  using late = await RawClient.open(old.address);
  const far = await backend.accept();
  late.address = next.address;
  assert.equal(await codeOf(next.address, late.resumeContent()), "501");
  for (const count of [1, 0]) {
    const packed = (await Array.fromAsync(old.proxy.moveLate())).flat();
    assert.equal(packed.length, count);
    give(next, packed);
  }
  await late.send(pattern(0, 100));
  assertSameBytes(await readExactly(far, 100), pattern(0, 100));
  await late.resume();
  assert.deepEqual(await two.sizes(), [0, 3]);
});

test("who is in the middle of a handshake when another process has all is cut", async () => {
  await using two = new Two();
  const silent = await tcp(two.old.address);
  while ((await two.old.gauges()).handshakes === 0) await turn();
  await two.old.proxy.setListening("off");
  assert.equal(await silent.read(new Uint8Array(1)), null);
  silent.close();
});

test("of what has not come when all that there was is here, or the other process is gone, clients are told that it is lost", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using one = await RawClient.open(old.address);
  await backend.accept();
  next.proxy.moveIn(old.proxy.movedIds(), []);
  await next.proxy.setListening("streams");
  assert.equal(await codeOf(next.address, one.resumeContent()), "501");
  await next.proxy.setListening("on");
  assert.equal(await codeOf(next.address, one.resumeContent()), "404");
});

test("what is remembered goes along: how sessions of version 2 ended, and that those of version 1 are over", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using one = await RawClient.open(old.address);
  const far = await backend.accept();
  using other = await AckedClient.open(old.address);
  await backend.accept();
  far.close();
  await one.receiveToEnd();
  one.link.close();
  await old.log.nth("session lost");
  // It has all there is: that is the end.
  assert.equal(await codeOf(old.address, one.resumeContent()), "200");
  await old.proxy.endSession(other.id);
  assert.equal((await other.ending()).code, 3);
  await moveAll(old, next);
  one.address = other.address = next.address;
  assert.equal(await codeOf(next.address, one.resumeContent()), "200");
  assert.equal(await other.askEnd(), 3);
  // An index that was used is used, wherever.
  const again = other.resumeContent();
  assert.equal(await codeOf(next.address, again), "410");
  await moveAll(next, old);
  assert.equal(await codeOf(old.address, again), "403");
});

test("what is remembered goes before any session stands still, and after these only what has changed since", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  const open = async () => {
    const client = await AckedClient.open(old.address);
    await backend.accept();
    return client;
  };
  const [first, second, third, fourth, fifth] = [await open(), await open(), await open(), await open(), await open()];
  for (const { id } of [first, second]) await old.proxy.endSession(id);
  const given: Packed[] = [];
  const moving = old.proxy.moveOut(1);
  const take = async () => {
    const pieces = (await moving.next()).value as Packed[];
    given.push(...pieces);
    give(next, pieces);
  };
  const told = () => {
    const all = given.splice(0).map(({ data }) => data);
    return all.map((data) => data.kind === "memory" ? data.gone.map(({ id }) => id) : data.kind);
  };
  await take();
  await take();
  assert.deepEqual(told(), ["ids", [first.id, second.id]]);
  assert.deepEqual(await two.sizes(), [3, 0]);
  await take();
  // Until their turn they are here, and end here; and an index may be used there meanwhile, or here.
  for (const { id } of [fourth, fifth]) await old.proxy.endSession(id);
  assert.equal(await first.askEnd(), 3);
  for (const client of [first, second]) client.address = next.address;
  assert.equal(await first.askEnd(), 3);
  const last = second.resumeContent();
  assert.equal(await codeOf(next.address, last), "410");
  for await (const pieces of moving) {
    given.push(...pieces);
    give(next, pieces);
  }
  assert.deepEqual(told(), ["acked session", [first.id, fourth.id, fifth.id]]);
  assert.equal(await codeOf(next.address, last), "403");
  for (const client of [first, second, fourth, fifth]) {
    client.address = next.address;
    assert.equal(await client.askEnd(), 3);
  }
  for (const client of [first, second, third, fourth, fifth]) client[Symbol.dispose]();
});

test("the ids of what is there, remembered, to come or elsewhere are not given to others", async () => {
  const hosts = [{ addr: "builtin:echo" }];
  const layout = { threadBits: 0, slotBits: 0, epochBits: 28 }; // ids of four bits
  const cluster = {
    layout,
    self: { thread: 0, slot: 0, epoch: 5 },
    owns: () => true,
    carry: () => assert.fail(),
  };
  const engine = engineOf(NATIVE[0]!);
  await using old = TestProxy.start({ hosts, shutdown_timeout: "10ms" }, { engine, cluster });
  await using next = TestProxy.start({ hosts, shutdown_timeout: "10ms" }, { engine, cluster });
  const ids: number[] = [];
  const open = async (proxy: TestProxy) => {
    using client = await RawClient.open(proxy.address);
    ids.push(client.id);
  };
  for (let i = 0; i < 5; i++) await open(old);
  next.proxy.moveIn({ format: 1, kind: "ids", ids: ids.slice() }, []);
  for (let i = 0; i < 4; i++) await open(next);
  next.proxy.moveIn(END, []);
  for (let i = 0; i < 6; i++) await open(next);
  assert.equal(new Set(ids).size, 15);
  assert.equal(await codeOf(next.address, NEW), "501");
  await Promise.all([old.stop(), next.stop()]);
  await engine.close();
});

test("the id of a session that has ended, and is not remembered any more, is free again where that came to", async () => {
  const cluster = {
    layout: { threadBits: 0, slotBits: 0, epochBits: 28 }, // ids of four bits
    self: { thread: 0, slot: 0, epoch: 5 },
    owns: () => true,
    carry: () => assert.fail(),
  };
  const engine = engineOf(NATIVE[0]!);
  const next = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" }, { engine, cluster });
  const ids = Array.from({ length: 16 }, (_, i) => i * 2 ** 28 + 5);
  const gone = ids.map((id) => ({ id, key: new Uint8Array(32), end: 1, index: 0, left: 0 }));
  next.proxy.moveIn({ format: 1, kind: "ids", ids }, []);
  next.proxy.moveIn({ format: 1, kind: "memory", ended: [], gone }, []);
  next.proxy.moveIn(END, []);
  assert.equal(await codeOf(next.address, NEW), "501");
  while ((await next.gauges()).gone > 0) await turn(); // at the next look
  using _client = await RawClient.open(next.address);
  await next.stop();
  await engine.close();
});

for (const [version, Client] of [[1, RawClient], [2, AckedClient]] as const) {
  test(`a session of version ${version} that stumbles where it moved is lost alone, and closed once`, async () => {
    await using backend = new Backend();
    const [engine, broken] = [engineOf(NATIVE[0]!), engineOf(NATIVE[0]!)];
    let adoptions = 0;
    const adopt: Engine["adopt"] = (fd, remains, remote) => {
      const link = broken.adopt!(fd, remains, remote);
      // The backend of the first.
      if (++adoptions === 2) Object.assign(flowOf(link), { resume: () => assert.fail("it stumbles") });
      return link;
    };
    const keys = { hosts: [{ addr: backend.address }], listen: LISTEN, shutdown_timeout: "10ms" };
    {
      await using old = TestProxy.start(keys, { engine });
      await using next = TestProxy.start(keys, { engine: adopting(broken, adopt) });
      using one = await Client.open(old.address);
      const far = await backend.accept();
      using other = await Client.open(old.address);
      const farOther = await backend.accept();
      const moved = await pieces(old);
      give(next, moved);
      assert.deepEqual(next.log.of("session lost").map(({ id }) => id), [one.id]);
      assert.equal(await far.read(new Uint8Array(1)).catch(() => null), null);
      assert.equal(await next.size(), 1);
      await other.send(pattern(0, 100));
      assertSameBytes(await readExactly(farOther, 100), pattern(0, 100));
    }
    await Promise.all([engine.close(), broken.close()]);
  });
}

test("a piece that nobody takes is given back, and its session goes on where it was", async () => {
  await using two = new Two();
  const { old, backend } = two;
  using one = await RawClient.open(old.address);
  const far = await backend.accept();
  using other = await AckedClient.open(old.address);
  await backend.accept();
  const moving = old.proxy.moveOut(1);
  await moving.next();
  const first = (await moving.next()).value!;
  await one.send(pattern(0, 100));
  give(old, first);
  await moving.return();
  assertSameBytes(await readExactly(far, 100), pattern(0, 100));
  await one.resume();
  await other.resume();
  assert.deepEqual([await two.sizes(), await two.atHosts()], [[2, 0], [2, 0]]);
  await old.proxy.endSession(one.id);
  assert.equal(await codeOf(old.address, one.resumeContent()), "404");
  using _third = await RawClient.open(old.address);
});

test("a client over a WebSocket keeps its session: its connection is closed when that is there", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  const at = (proxy: TestProxy) => `127.0.0.1:${proxy.proxy.addresses[1]!.port}`;
  const dial = async (address: string) => await BareWebSocket.open(await tcp(address));
  using client = await AckedClient.open(at(old), { dial });
  const far = await backend.accept();
  await client.send(pattern(0, 1000, 1));
  await writeAll(far, pattern(0, 1000, 2));
  assertSameBytes(await client.receive(1000), pattern(0, 1000, 2));
  const packed = await pieces(old);
  for (const { data, descriptors } of packed) next.proxy.moveIn(structuredClone(data), descriptors);
  for (let turns = 0; turns < 100; turns++) await turn();
  assert.deepEqual(client.losses, [], "it is closed before its session is there");
  for (const { done } of packed) done();
  await client.until(() => client.losses.length === 1);
  client.address = at(next);
  await client.resume();
  await writeAll(far, pattern(1000, 1000, 2));
  assertSameBytes(await client.receive(1000), pattern(1000, 1000, 2));
  assertSameBytes(await readExactly(far, 1000), pattern(0, 1000, 1));
});

test("limits count a session where it is", async () => {
  await using two = new Two({ limits: { sessions: 2, sessions_per_ip: 2 } });
  const { old, next, backend } = two;
  using one = await RawClient.open(old.address);
  await backend.accept();
  using _two = await RawClient.open(next.address);
  await backend.accept();
  await moveAll(old, next);
  // It is full, but by no fault of those who came.
  assert.equal(await codeOf(next.address, NEW), "501");
  using _three = await RawClient.open(old.address);
  await backend.accept();
  await next.proxy.endSession(one.id);
  await next.log.nth("session ended");
  using _four = await RawClient.open(next.address);
});

test("memory counts where it is", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using client = await RawClient.open(old.address);
  const far = await backend.accept();
  await writeAll(far, pattern(0, 100_000));
  await client.receive(100_000);
  const used = (await old.gauges()).cacheBytes;
  assert(used > 0);
  await moveAll(old, next);
  assert.deepEqual([(await old.gauges()).cacheBytes, (await next.gauges()).cacheBytes], [0, used]);
});

test("of what came along with a key nothing is kept but that", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using _one = await AckedClient.open(old.address);
  await backend.accept();
  using other = await AckedClient.open(old.address);
  await backend.accept();
  await old.proxy.endSession(other.id);
  // As it comes in one message with all else.
  const within = <T extends { key: Uint8Array }>(whose: T) => {
    const all = new Uint8Array(100_000);
    all.set(whose.key, 1000);
    whose.key = all.subarray(1000, 1032);
  };
  const keysOf = ({ data }: Packed): { key: Uint8Array<ArrayBuffer> }[] => {
    if (data.kind === "acked session") return [data.snapshot.terms];
    return data.kind === "memory" ? data.gone : [];
  };
  const first = await pieces(old);
  first.flatMap(keysOf).forEach(within);
  give(next, first);
  const second = await pieces(next);
  assert.deepEqual(second.flatMap(keysOf).map(({ key }) => key.buffer.byteLength), [32, 32]);
  give(old, second);
});

test("a session whose backend has no descriptor stays, and lives", async () => {
  await using two = new Two({ hosts: [{ addr: "builtin:echo" }] });
  const { old, next } = two;
  using client = await AckedClient.open(old.address);
  assert.equal(await moveAll(old, next), 0);
  await client.send(pattern(0, 100));
  assertSameBytes(await client.receive(100), pattern(0, 100));
  await client.resume();
  assert.deepEqual(await two.sizes(), [1, 0]);
  await next.proxy.setListening("on");
  assert.equal(await codeOf(next.address, client.resumeContent()), "404");
});

test("what is known of a session goes along any number of times", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using _one = await RawClient.open(old.address, { target: "" });
  await backend.accept();
  using _other = await AckedClient.open(old.address);
  await backend.accept();
  const records = (packed: Packed[]) =>
    packed.flatMap(({ data }) => {
      if (!("snapshot" in data)) return [];
      const { heardFor: _heard, lostFor: _lost, ...record } = data.snapshot.record;
      return [record];
    });
  const first = await pieces(old);
  for (const record of first.flatMap(({ data }) => "snapshot" in data ? [data.snapshot.record] : [])) {
    Object.assign(record, { origin: "192.0.2.9", host: "another", resumes: 3, resent: 4 });
  }
  give(next, first);
  const second = await pieces(next);
  assert.deepEqual(records(second), records(first));
  give(old, second);
});

test("a client whose connection cannot be taken is away", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using one = await RawClient.open(old.address);
  const far = await backend.accept();
  using other = await AckedClient.open(old.address);
  await backend.accept();
  for (const packed of await pieces(old)) {
    const [client, ...rest] = packed.descriptors;
    if (client !== undefined) System.open().close(client);
    next.proxy.moveIn(packed.data, client === undefined ? [] : [NONE, ...rest]);
    packed.done();
  }
  assert.deepEqual((await next.gauges()).sessions, { connecting: 0, attached: 0, detached: 2 });
  assert.equal(next.log.of("session lost").length, 2);
  for (const client of [one, other]) {
    client.address = next.address;
    await client.resume();
  }
  await writeAll(far, pattern(0, 10));
  assertSameBytes(await one.receive(10), pattern(0, 10));
});

test("a backend whose connection cannot be taken has failed, and its client is told", async () => {
  await using two = new Two();
  const { old, next, backend } = two;
  using one = await RawClient.open(old.address);
  await backend.accept();
  using other = await AckedClient.open(old.address);
  await backend.accept();
  for (const packed of await pieces(old)) {
    // Its backend's is none: it went while it was passed on.
    const [client, backend] = packed.descriptors;
    if (backend !== undefined) System.open().close(backend);
    next.proxy.moveIn(packed.data, client === undefined ? [] : [client, NONE]);
    packed.done();
  }
  assert.equal((await other.ending()).code, 2);
  assert.equal((await one.receiveToEnd()).length, 0);
  assert.equal(next.log.of("connection not taken").length, 2);
});
