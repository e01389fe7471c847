import assert from "node:assert/strict";
import type { Engine, KeepAlive, ListenOptions } from "../../../lib/link/engine/engine.ts";
import type { NativeFlow } from "../../../lib/link/engine/native_flow.ts";
import type { FlowingLink } from "../../../lib/link/flow.ts";
import { reasonOf, writeAll } from "../../../lib/link/link.ts";
import { readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { engineOf, WORKING } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { pattern } from "../../helpers/random.ts";
import { asStranger, RawSocket } from "../../helpers/raw_socket.ts";
import { turn } from "../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const OPTIONS: ListenOptions = { backlog: 128, isShared: false, tcp: {} };
const [SOL_SOCKET, IPPROTO_TCP] = [1, 6];
/** SO_KEEPALIVE, and of TCP: NODELAY, KEEPIDLE, KEEPINTVL, KEEPCNT. */
const [KEEPALIVE, NODELAY, IDLE, INTERVAL, COUNT] = [9, 1, 4, 5, 6];

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

/** What holds for a connection: its descriptor is taken for that. */
function optionsOf(link: unknown): { keepAlive: KeepAlive | undefined; noDelay: number } {
  using socket = new RawSocket(((link as FlowingLink).flow as NativeFlow).detach()!);
  const noDelay = socket.option(IPPROTO_TCP, NODELAY);
  if (socket.option(SOL_SOCKET, KEEPALIVE) === 0) return { noDelay, keepAlive: undefined };
  const [idle, interval] = [IDLE, INTERVAL].map((option) => socket.option(IPPROTO_TCP, option) * 1000);
  return { noDelay, keepAlive: { idle: idle!, interval: interval!, probes: socket.option(IPPROTO_TCP, COUNT) } };
}

/** Of the system. */
function systemKeepAlive(): KeepAlive {
  const of = (name: string) => Number(Deno.readTextFileSync(`/proc/sys/net/ipv4/tcp_keepalive_${name}`));
  return { idle: 1000 * of("time"), interval: 1000 * of("intvl"), probes: of("probes") };
}

Deno.test("epoll tunes what it accepts and what it opens", LINUX, async () => {
  const asSystem = systemKeepAlive();
  for (
    const [keepAlive, expected] of [
      [undefined, undefined],
      [{ idle: 0, interval: 1000, probes: 2 }, asSystem],
      [{ idle: 60_000, interval: 20_000, probes: 3 }, { idle: 60_000, interval: 20_000, probes: 3 }],
      [{ idle: 1, interval: 1400, probes: 9 }, { idle: 1000, interval: 1000, probes: 9 }],
      [{ idle: 1e9, interval: 1e9, probes: 1 }, { idle: 32_767_000, interval: 32_767_000, probes: 1 }],
    ] as const
  ) {
    await using stage = Stage.open("epoll", "IPv4", { keepAlive });
    const accepting = stage.accept();
    const near = await stage.engine.connect(stage.address, { keepAlive });
    const far = await accepting;
    await writeAll(near, pattern(0, 10));
    assertSameBytes(await readExactly(far, 10), pattern(0, 10));
    assert.deepEqual(optionsOf(near), { noDelay: 1, keepAlive: expected });
    assert.deepEqual(optionsOf(far), { noDelay: 1, keepAlive: expected });
  }
});

Deno.test("epoll tunes what it accepts as it was told last", LINUX, async () => {
  const engine = engineOf("epoll");
  const keepAlive = { idle: 5000, interval: 2000, probes: 2 };
  const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { ...OPTIONS, tcp: { keepAlive } });
  const system = { idle: 0, interval: 0, probes: 3 };
  for (const now of [keepAlive, undefined, system, { idle: 7000, interval: 3000, probes: 4 }, system, undefined]) {
    listening.tcp = { keepAlive: now };
    const { promise, resolve } = Promise.withResolvers<unknown>();
    listening.accept({ onConnection: resolve, onFailure });
    const near = await engine.connect({ kind: "tcp", ...listening.address }, {});
    assert.deepEqual(optionsOf(await promise).keepAlive, now === system ? systemKeepAlive() : now);
    near.close();
  }
  await listening.close();
  await engine.close();
});
