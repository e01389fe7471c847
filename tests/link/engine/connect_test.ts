import assert from "node:assert/strict";
import { encodeAddress } from "../../../lib/link/engine/sockaddr.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { readExactly } from "../../helpers/backend.ts";
import { engineOf, NATIVE, WORKING } from "../../helpers/engine.ts";
import { FAMILIES, Stage } from "../../helpers/engine_pair.ts";
import { FullSocket } from "../../helpers/full_socket.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { RawSocket } from "../../helpers/raw_socket.ts";
import { turn } from "../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };

/** A port that nobody has. */
function freePort(hostname = "127.0.0.1"): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.port;
}

/** Listens on an address of one link, if there is one: interfaces come and go, and a new one has no address yet. */
function onLinkLocal() {
  for (const { address, name, scopeid, family } of Deno.networkInterfaces()) {
    if (family !== "IPv6" || !scopeid) continue;
    try {
      const listener = Deno.listen({ hostname: `${address}%${name}`, port: 0 });
      const { port } = listener.addr;
      return { address, port, scopes: [name, scopeid], [Symbol.dispose]: () => listener.close() };
    } catch {
      continue;
    }
  }
  return null;
}

for (const name of WORKING) {
  const test = (what: string, run: (stage: Stage) => Promise<void>) =>
    Deno.test(`${name} ${what}`, async () => {
      await using stage = Stage.open(name);
      await run(stage);
    });

  test("says when it is refused, on an address of each family", async ({ engine }) => {
    for (const hostname of ["127.0.0.1", "::1", "0.0.0.0"]) {
      await assert.rejects(engine.connect({ kind: "tcp", hostname, port: freePort() }, {}), { code: "ECONNREFUSED" });
    }
    const dir = await Deno.makeTempDir();
    const path = `${dir}/socket`;
    await assert.rejects(engine.connect({ kind: "unix", path }, {}), { code: "ENOENT" });
    const listener = Deno.listen({ transport: "unix", path: `${path}2` });
    await Deno.rename(`${path}2`, path); // so that it stays
    listener.close();
    await assert.rejects(engine.connect({ kind: "unix", path }, {}), { code: "ECONNREFUSED" });
    await Deno.remove(dir, { recursive: true });
  });

  test("says that the queue of a Unix socket is full", async ({ engine }) => {
    await using full = await FullSocket.open();
    await assert.rejects(engine.connect({ kind: "unix", path: full.path }, {}), { code: "EAGAIN" });
  });

  test("gives up when it is told to, before, while it connects, and not after", async (stage) => {
    const { engine, address } = stage;
    const reason = new Error("enough");
    await assert.rejects(engine.connect(address, { signal: AbortSignal.abort(reason) }), reason);
    // Queues that are full, so that the system goes on asking.
    const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 1, isShared: false, tcp: {} });
    const others = new AbortController();
    const at = { kind: "tcp", ...listening.address } as const;
    const most = NATIVE.includes(name) ? 8 : 0; // Deno's queue is its own
    const tries = Array.from(
      { length: most },
      () => engine.connect(at, { signal: others.signal }).catch(() => undefined),
    );
    for (let turns = 0; turns < 100; turns++) await turn();
    others.abort(reason);
    const links = await Promise.all(tries);
    assert(most === 0 || links.includes(undefined), "none had to wait");
    for (const link of links) link?.close();
    await listening.close();
    const late = new AbortController();
    const accepting = stage.accept();
    const near = await engine.connect(address, { signal: late.signal });
    late.abort();
    const far = await accepting;
    await writeAll(near, new Uint8Array(1));
    assert.equal((await readExactly(far, 1)).length, 1);
    near.close();
  });

  for (const family of FAMILIES) {
    Deno.test(`${name} leaves no descriptor of what it could not connect over ${family}`, LINUX, async () => {
      await using stage = Stage.open(name, family);
      const before = ownDescriptors().size;
      const nowhere = family === "Unix"
        ? { kind: "unix", path: "/nosuch/socket" } as const
        : { kind: "tcp", hostname: family === "IPv4" ? "127.0.0.1" : "::1", port: freePort() } as const;
      for (let i = 0; i < 20; i++) await assert.rejects(stage.engine.connect(nowhere, {}));
      assert.equal(ownDescriptors().size, before);
    });
  }
}

for (const name of NATIVE) {
  Deno.test(`${name} knows both ends of what it opened`, async () => {
    for (const family of ["IPv4", "IPv6"] as const) {
      await using stage = Stage.open(name, family);
      const [near, far] = await stage.pair() as unknown as { local: unknown; remote: unknown }[];
      assert.deepEqual(near!.remote, {
        hostname: family === "IPv4" ? "127.0.0.1" : "::1",
        port: (stage.address as { port: number }).port,
      });
      assert.deepEqual([far!.local, far!.remote], [near!.remote, near!.local]);
    }
  });

  Deno.test(`${name} takes a connection to itself for none`, async () => {
    const engine = engineOf(name);
    const { socket } = System.prototype;
    try {
      for (
        const [hostname, source] of [["127.0.0.1", "127.0.0.1"], ["0.0.0.0", "127.0.0.1"], ["::1", "::1"], [
          "::",
          "::1",
        ]] as const
      ) {
        const port = freePort(source);
        // As chance has it once in 28,000 times.
        System.prototype.socket = function (family) {
          const fd = socket.call(this, family);
          assert.equal(this.bind(fd, encodeAddress({ kind: "tcp", hostname: source, port }, this)), 0);
          return fd;
        };
        await assert.rejects(engine.connect({ kind: "tcp", hostname, port }, {}), { code: "ECONNREFUSED" }, hostname);
      }
    } finally {
      System.prototype.socket = socket;
    }
    await engine.close();
  });

  Deno.test(
    `${name} reaches an address of one link by its interface, and says when there is none of that name`,
    async () => {
      const engine = engineOf(name);
      const port = freePort();
      const to = (hostname: string) => engine.connect({ kind: "tcp", hostname, port }, {});
      await assert.rejects(to("fe80::1"), /Invalid argument/);
      await assert.rejects(to("fe80::1%nosuch"), /there is no network interface "nosuch"/);
      using listener = onLinkLocal();
      for (const scope of listener?.scopes ?? []) {
        const hostname = `${listener!.address}%${scope}`;
        (await engine.connect({ kind: "tcp", hostname, port: listener!.port }, {})).close();
      }
      await engine.close();
    },
  );

  Deno.test(`${name} connects while its queue of events is busy with others, each to its own`, async () => {
    await using stage = Stage.open(name);
    const { address, engine } = stage;
    const clients = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
      const near = await engine.connect(address, {});
      await writeAll(near, Uint8Array.of(i));
      return near;
    }));
    const seen = new Set<number>();
    for (const _ of clients) seen.add((await readExactly(await stage.accept(), 1))[0]!);
    assert.equal(seen.size, 100);
    for (const near of clients) near.close();
    using raw = RawSocket.connect(address);
    raw.reset();
  });
}
