import assert from "node:assert/strict";
import type { Engine, ListenOptions } from "../../../lib/link/engine/engine.ts";
import { reasonOf } from "../../../lib/link/link.ts";
import { readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { engineOf, WORKING } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { pattern } from "../../helpers/random.ts";
import { asStranger, RawSocket } from "../../helpers/raw_socket.ts";
import { turn } from "../../helpers/turns.ts";

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
    await listening.close();
    const again = engine.listen(listening.address, OPTIONS);
    await again.close();
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
}
