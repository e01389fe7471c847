import assert from "node:assert/strict";
import type { Engine, ListenOptions, PassableListening } from "../../../lib/link/engine/engine.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { reasonOf } from "../../../lib/link/link.ts";
import { readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { engineOf, NATIVE, WORKING } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { pattern } from "../../helpers/random.ts";
import { asStranger, RawSocket } from "../../helpers/raw_socket.ts";
import { turn, until } from "../../helpers/turns.ts";

// Here, as they stay open: a test that opened them would be said to leak them.
if (Deno.build.os === "linux") DescriptorCalls.open();

const LINUX = { ignore: Deno.build.os !== "linux" };
const OPTIONS: ListenOptions = { backlog: 128, isShared: false, tcp: {} };

const onFailure = ({ reason }: { reason: string }) => assert.fail(reason);

/** Why each engine cannot listen there. */
async function refusals(hostname: string, port: number): Promise<string[]> {
  const reasons: string[] = [];
  for (const name of WORKING) {
    const engine = engineOf(name);
    try {
      await engine.listen({ hostname, port }, OPTIONS).close();
      reasons.push("it can");
    } catch (error) {
      reasons.push(reasonOf(error));
    }
    await engine.close();
  }
  return reasons;
}

function assertSame(reasons: string[], expected: RegExp): void {
  for (const reason of reasons) assert.match(reason, expected);
  assert.equal(new Set(reasons).size, 1, `not in the same words: ${reasons.join(" / ")}`);
}

Deno.test("every engine says in the same words that a port is in use", async () => {
  for (const hostname of ["127.0.0.1", "0.0.0.0", "::1", "localhost"]) {
    using listener = Deno.listen({ hostname, port: 0 });
    assertSame(await refusals(hostname, listener.addr.port), /^Cannot listen on .*: the address is in use$/);
  }
});

Deno.test(
  "every engine says in the same words that a port is forbidden",
  LINUX,
  () =>
    asStranger(async () =>
      assertSame(await refusals("127.0.0.1", 80), /^Cannot listen on 127\.0\.0\.1:80: permission denied/)
    ),
);

Deno.test("every engine says in the same words that a host is none of ours, or is none", LINUX, async () => {
  assertSame(await refusals("192.0.2.1", 0), /192\.0\.2\.1:0: Cannot assign requested address/);
  assertSame(await refusals("256.1.1.1", 0), /Name or service not known/);
  assertSame(await refusals("nosuch.invalid", 0), /nosuch\.invalid:0: .*(not known|resolution)/);
  assertSame(await refusals("", 0), /empty host/);
  assertSame(await refusals("fe80::1", 0), /Invalid argument/);
  assertSame(await refusals("fe80::1%lo", 0), /Cannot assign requested address/);
});

for (const name of WORKING) {
  const test = (what: string, run: (engine: Engine) => Promise<void>) =>
    Deno.test(`${name} ${what}`, async () => {
      const engine = engineOf(name);
      await run(engine);
      await engine.close();
    });

  test("listens on a name, on an address of each family, and on all of one", async (engine) => {
    for (const hostname of ["localhost", "127.0.0.1", "127.0.0.2", "::1", "0:0:0:0:0:0:0:1", "0.0.0.0", "::"]) {
      const listening = engine.listen({ hostname, port: 0 }, OPTIONS);
      assert.equal(listening.address.hostname, hostname);
      const { promise, resolve } = Promise.withResolvers<void>();
      const at = hostname === "localhost" || hostname === "0.0.0.0"
        ? "127.0.0.1"
        : hostname.includes(":")
        ? "::1"
        : hostname;
      listening.accept({
        onConnection: (link) => {
          if (hostname !== "localhost") assert.deepEqual(link.local, { hostname: at, port: listening.address.port });
          assert.match(link.remote.hostname, at === "::1" ? /^::1$/ : /^127\.0\.0\.\d$/);
          assert(link.remote.port > 0);
          link.close();
          resolve();
        },
        onFailure,
      });
      const near = await engine.connect({ kind: "tcp", hostname: at, port: listening.address.port }, {});
      await promise;
      near.close();
      await listening.close();
    }
  });

  test("takes IPv4 on an address of both families for what it is", async (engine) => {
    const listening = engine.listen({ hostname: "::", port: 0 }, OPTIONS);
    const { promise, resolve } = Promise.withResolvers<string[]>();
    listening.accept({
      onConnection: (link) => {
        resolve([link.remote.hostname, link.local.hostname]);
        link.close();
      },
      onFailure,
    });
    const near = await engine.connect({ kind: "tcp", hostname: "127.0.0.1", port: listening.address.port }, {});
    assert.deepEqual(await promise, ["127.0.0.1", "127.0.0.1"]);
    near.close();
    await listening.close();
  });

  test("frees an address, which is had again at once, though connections live on", async (engine) => {
    const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, OPTIONS);
    const { promise, resolve } = Promise.withResolvers<{ close(): void }>();
    listening.accept({ onConnection: resolve, onFailure });
    const near = await engine.connect({ kind: "tcp", ...listening.address }, {});
    const far = await promise;
    const closed = listening.close();
    // Whoever takes back what could not be had whole does not wait for it.
    if (NATIVE.includes(name)) await engine.listen(listening.address, OPTIONS).close();
    await closed;
    await engine.listen(listening.address, OPTIONS).close();
    far.close();
    near.close();
  });

  test("shares an address with who shares it, and with nobody else", async (engine) => {
    const first = engine.listen({ hostname: "127.0.0.1", port: 0 }, { ...OPTIONS, isShared: true });
    const second = engine.listen(first.address, { ...OPTIONS, isShared: true });
    assert.throws(() => engine.listen(first.address, OPTIONS), /the address is in use/);
    await first.close();
    await second.close();
  });

  Deno.test(`${name} accepts those that wait behind a client that is gone`, LINUX, async () => {
    await using stage = Stage.open(name);
    for (let i = 0; i < 3; i++) RawSocket.connect(stage.address).reset();
    using gone = RawSocket.connect(stage.address);
    gone.send(pattern(0, 100));
    gone[Symbol.dispose]();
    using client = RawSocket.connect(stage.address);
    client.send(pattern(0, 10));
    client.shutdownWrite();
    for (;;) {
      const link = await stage.accept();
      const received = await readToEnd(link).catch(() => undefined);
      link.close();
      if (received?.length === 10) break;
      if (received) assertSameBytes(received, pattern(0, 100));
    }
    assert.deepEqual(stage.failures, []);
  });

  test("accepts more at once than it takes in a round", async (engine) => {
    const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { ...OPTIONS, backlog: 512 });
    const address = { kind: "tcp", ...listening.address } as const;
    const nears = await Promise.all(Array.from({ length: 300 }, () => engine.connect(address, {})));
    const fars: { close(): void }[] = [];
    listening.accept({ onConnection: (link) => fars.push(link), onFailure });
    while (fars.length < 300) await turn();
    for (const link of [...nears, ...fars]) link.close();
    await listening.close();
  });

  if (!NATIVE.includes(name)) continue;

  test("lets clients wait while it pauses, and another go on with its socket, where none is lost", async (engine) => {
    const [counts, links] = [{ first: 0, second: 0 }, [] as { close(): void }[]];
    const count = (who: keyof typeof counts) => ({
      onConnection: (link: { close(): void }) => {
        counts[who]++;
        links.push(link);
      },
      onFailure,
    });
    const first = engine.listen({ hostname: "127.0.0.1", port: 0 }, OPTIONS) as PassableListening;
    const connect = async (n: number) => {
      const address = { kind: "tcp", ...first.address } as const;
      links.push(...await Promise.all(Array.from({ length: n }, () => engine.connect(address, {}))));
    };
    first.accept(count("first"));
    await connect(3);
    await until(() => counts.first === 3, () => JSON.stringify(counts));
    first.pause();
    await connect(3);
    const second = engine.adoptListening!(first.duplicate(), "localhost", OPTIONS);
    assert.deepEqual(second.address, { ...first.address, hostname: "localhost" });
    first.accept(count("first"));
    await until(() => counts.first === 6, () => JSON.stringify(counts));
    first.pause();
    await connect(3);
    await first.close();
    await connect(3);
    second.accept(count("second"));
    await until(() => counts.second === 6, () => JSON.stringify(counts));
    await connect(1);
    await until(() => counts.second === 7, () => JSON.stringify(counts));
    assert.equal(counts.first, 6);
    for (const link of links) link.close();
    await second.close();
    await assert.rejects(connect(1), { code: "ECONNREFUSED" });
  });

  test("has an address where nobody can wait before it accepts", async (engine) => {
    const options = { ...OPTIONS, isShared: true };
    const later = engine.listen({ hostname: "127.0.0.1", port: 0 }, { ...options, isLater: true });
    const address = { kind: "tcp", ...later.address } as const;
    await assert.rejects(engine.connect(address, {}), { code: "ECONNREFUSED" });
    const { promise, resolve } = Promise.withResolvers<{ close(): void }>();
    later.accept({ onConnection: resolve, onFailure });
    (await engine.connect(address, {})).close();
    (await promise).close();
    await later.close();
  });

  test("says of what is no socket that it cannot listen by it, and closes it", async (engine) => {
    const bell = System.open().createBell();
    assert.throws(() => engine.adoptListening!(bell, "localhost", OPTIONS), /Socket operation on non-socket/);
    assert(!ownDescriptors().has(bell));
    await Promise.resolve();
  });
}
