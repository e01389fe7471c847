import assert from "node:assert/strict";
import type { AcceptedLink } from "../../../../lib/link/engine/engine.ts";
import { DescriptorCalls } from "../../../../lib/link/engine/passing/descriptor_calls.ts";
import { DatagramCalls } from "../../../../lib/link/engine/udp/datagram_calls.ts";
import { writeAll } from "../../../../lib/link/link.ts";
import { readExactly } from "../../../helpers/backend.ts";
import { datagram, DatagramStage } from "../../../helpers/datagram_stage.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { turn, until } from "../../../helpers/turns.ts";

/** Datagrams on their way to one socket: more than it is told of at once, fewer than the system has room for. */
const FLOOD = 300;
if (NATIVE.length > 0) DescriptorCalls.open(); // it stays open, whoever is first

const WIDE = { receiveBuffer: 1 << 20 };

/** How many datagrams each call has sent since. */
function spyOnSends(): { counts: number[] } & Disposable {
  const { send } = DatagramCalls.prototype;
  const counts: number[] = [];
  DatagramCalls.prototype.send = function (fd, headers, count) {
    counts.push(count);
    return send.call(this, fd, headers, count);
  };
  return { counts, [Symbol.dispose]: () => void (DatagramCalls.prototype.send = send) };
}

for (const name of NATIVE) {
  const test = (what: string, run: (stage: DatagramStage) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using stage = new DatagramStage(name);
      await run(stage);
    });

  for (const [wildcard, asked] of [["0.0.0.0", "127.0.0.2"], ["::", "127.0.0.3"], ["::", "::1"]] as const) {
    test(`who asks ${asked} is answered from there, though the socket is on ${wildcard}`, async (stage) => {
      const server = await stage.bind(wildcard);
      const { port } = server.socket.address;
      const client = await stage.connect({ hostname: asked, port });
      client.socket.send(datagram("hello"), client.socket.peer);
      await server.until(1);
      const { peer } = server.heard[0]!;
      assert.deepEqual([peer.local, peer.remote], [{ hostname: asked, port }, client.socket.address]);
      server.socket.send(datagram("answer"), peer);
      await client.until(1); // it hears from nowhere else
    });
  }

  for (const other of NATIVE) {
    test(`a socket goes on with ${other}: what came while nobody read it is there, and the peer notices nothing`, async (stage) => {
      const old = await stage.bind("0.0.0.0", { isShared: true });
      const { port } = old.socket.address;
      const client = await stage.connect({ hostname: "127.0.0.2", port });
      const say = (text: string) => client.socket.send(datagram(text), client.socket.peer);
      say("first");
      await old.until(1);
      const passed = old.passable;
      passed.pause();
      say("second");
      const [ear, mouth] = [
        stage.adopt(passed.duplicate(), other, "read"),
        stage.adopt(passed.duplicate(), other, "send"),
      ];
      assert.deepEqual([ear.passable.cookie, mouth.passable.cookie], [passed.cookie, passed.cookie]);
      assert.deepEqual(ear.socket.address, { hostname: "as it was", port });
      // By another descriptor, and to a peer that another one knew.
      const peer = mouth.passable.peerOf(passed.bytesOf(old.heard[0]!.peer));
      assert.equal(peer.key, old.heard[0]!.peer.key);
      mouth.socket.send(datagram("answer"), peer);
      await client.until(1);
      assert.deepEqual([ear.texts, mouth.texts, old.texts], [[], [], ["first"]]);
      await old.socket.close();
      ear.passable.resume();
      await ear.until(1);
      say("third");
      await ear.until(2);
      assert.deepEqual([ear.texts, mouth.texts, old.texts], [["second", "third"], [], ["first"]]);
      assert.throws(() => mouth.passable.peerOf(new Uint8Array(39)), RangeError);
      assert.throws(() => stage.adopt(2 ** 20 + 5, other, "read"));
    });
  }

  test("a socket that was paused reads on by itself when nobody took it", async (stage) => {
    const server = await stage.bind();
    const client = await stage.connect(server.socket.address);
    server.passable.pause();
    for (let i = 0; i < FLOOD; i++) client.socket.send(datagram(`${i}`), client.socket.peer);
    for (let turns = 0; turns < 100; turns++) await turn();
    assert.deepEqual(server.texts, []);
    server.passable.resume();
    await server.until(1);
  });

  test("peers of one address that ask different ones of ours are different", async (stage) => {
    const server = await stage.bind("0.0.0.0");
    const client = await stage.bind();
    const { port } = server.socket.address;
    const asked = ["127.0.0.2", "127.0.0.3", "127.0.0.2"];
    for (const hostname of asked) {
      const { socket: { peer } } = await stage.connect({ hostname, port });
      client.socket.send(datagram(hostname), peer);
    }
    await server.until(3);
    const [first, second, third] = server.heard.map(({ peer }) => peer);
    assert.equal(first!.key, third!.key);
    assert.notEqual(first!.key, second!.key);
    assert.deepEqual(first!.remote, second!.remote);
  });

  test("a peer that is kept is the same object, whatever came on other sockets meanwhile", async (stage) => {
    const [ipv4, ipv6] = [await stage.bind("127.0.0.1"), await stage.bind("::")];
    const client = await stage.connect(ipv4.socket.address);
    const other = await stage.connect({ hostname: "::1", port: ipv6.socket.address.port });
    for (let i = 1; i <= 3; i++) {
      client.socket.send(datagram("hello"), client.socket.peer);
      await ipv4.until(i);
      other.socket.send(datagram("hello"), other.socket.peer);
      await ipv6.until(i);
      if (i === 1) { for (const { socket, heard } of [ipv4, ipv6]) socket.keep(heard[0]!.peer); }
    }
    for (const { heard } of [ipv4, ipv6]) assert.equal(new Set(heard.map(({ peer }) => peer)).size, 1);
  });

  test("what is sent in a round goes before the next", async (stage) => {
    const server = await stage.bind();
    const client = await stage.connect(server.socket.address);
    using calls = spyOnSends();
    const whenOver: number[] = [];
    server.socket.onRound = () => {
      for (let i = 0; i < 10; i++) server.socket.send(datagram(`${i}`), server.heard[0]!.peer);
      queueMicrotask(() => whenOver.push(...calls.counts)); // none runs before the round is over
    };
    client.socket.send(datagram("hello"), client.socket.peer);
    await client.until(10);
    assert.deepEqual(whenOver, [1, 10]);
  });

  test("an address is shared by who shares it, and each peer is with one of them", async (stage) => {
    const ears = [await stage.bind("127.0.0.1", { isShared: true })];
    const { port } = ears[0]!.socket.address;
    ears.push(await stage.bind("127.0.0.1", { isShared: true, port }));
    assert.deepEqual(ears.map(({ socket }) => socket.isShared), [true, true]);
    await assert.rejects(stage.bind("127.0.0.1", { port }), /the address is in use/);
    for (let i = 0; i < 64; i++) {
      const client = await stage.connect({ hostname: "127.0.0.1", port });
      for (let j = 0; j < 3; j++) client.socket.send(datagram(`${i}`), client.socket.peer);
    }
    const total = () => ears[0]!.heard.length + ears[1]!.heard.length;
    await until(() => total() === 3 * 64, () => `${total()} came`);
    const peers = ears.map((ear) => new Set(ear.texts));
    assert(peers[0]!.size > 0 && peers[1]!.size > 0, `${peers[0]!.size}, ${peers[1]!.size}`);
    assert.equal(peers[0]!.size + peers[1]!.size, 64);
  });

  test("a client is told that nobody is there", async (stage) => {
    const gone = await stage.bind();
    await gone.socket.close();
    const client = await stage.connect(gone.socket.address);
    const refusals: string[] = [];
    client.socket.onRefused = (error) => refusals.push((error as Error & { code: string }).code);
    for (let i = 1; i <= 3; i++) {
      client.socket.send(datagram("nobody"), client.socket.peer);
      await until(() => refusals.length >= i, () => `${refusals.length} refusals`);
    }
    assert.deepEqual(new Set(refusals), new Set(["ECONNREFUSED"]));
    let told = 0;
    client.socket.onRefused = () => {
      told++;
      void client.socket.close();
    };
    for (let i = 0; i < 10; i++) client.socket.send(datagram("nobody"), client.socket.peer); // several are refused at once
    await until(() => told > 0, () => "it is not told");
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.equal(told, 1);
  });

  test("buffers are as large as was asked for, if the system gives so much", async (stage) => {
    const { socket } = await stage.bind("127.0.0.1", { receiveBuffer: 50_000, sendBuffer: 40_000 });
    assert.deepEqual([socket.receiveBuffer, socket.sendBuffer], [50_000, 40_000]);
    const most = Number(Deno.readTextFileSync("/proc/sys/net/core/rmem_max"));
    const large = await stage.bind("127.0.0.1", { receiveBuffer: 2 ** 30 });
    assert.equal(large.socket.receiveBuffer, most);
    const other = await stage.bind();
    assert.equal(other.socket.sendBuffer * 2, Number(Deno.readTextFileSync("/proc/sys/net/core/wmem_default")));
  });

  test("what comes at once is told in rounds, and what is sent in one goes in few calls", async (stage) => {
    const server = await stage.bind("127.0.0.1", WIDE);
    const client = await stage.connect(server.socket.address);
    using calls = spyOnSends();
    for (let i = 0; i < 200; i++) client.socket.send(datagram(`${i}`), client.socket.peer);
    await server.until(200);
    assert.deepEqual(calls.counts, [64, 64, 64, 8]);
    await until(() => server.rounds >= 4, () => `${server.rounds} rounds`);
    assert(server.rounds < 10, `${server.rounds} rounds`);
  });

  test("a flood of datagrams leaves the connections their turns", async (stage) => {
    const flooded = await stage.bind("127.0.0.1", WIDE);
    const { socket: { peer: itself } } = await stage.connect(flooded.socket.address);
    let [count, isOn] = [0, true];
    flooded.socket.onDatagram = (bytes) => {
      count++;
      if (isOn && count < 3_000_000) flooded.socket.send(bytes, itself);
    };
    for (let i = 0; i < FLOOD; i++) flooded.socket.send(datagram("flood"), itself);
    const listening = stage.engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 1, isShared: false, tcp: {} });
    const accepted = new Promise<AcceptedLink>((resolve) =>
      listening.accept({ onConnection: resolve, onFailure: () => {} })
    );
    const near = await stage.engine.connect({ kind: "tcp", ...listening.address }, {});
    const far = await accepted;
    const before = count;
    for (let i = 0; i < 200; i++) {
      await writeAll(near, datagram("ping"));
      await writeAll(far, await readExactly(far, 4));
      await readExactly(near, 4);
    }
    const perEcho = (count - before) / 200;
    assert(perEcho > 64, `${perEcho} datagrams an echo are no flood`);
    assert(perEcho < 64 * 16, `${perEcho} datagrams an echo`);
    isOn = false;
    near.close();
    far.close();
    await listening.close();
    for (let turns = 0; turns < 20; turns++) await turn();
  });
}
