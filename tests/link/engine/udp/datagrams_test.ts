import assert from "node:assert/strict";
import { LONGEST_DATAGRAM } from "../../../../lib/link/engine/udp/datagrams.ts";
import { datagram, DatagramStage, Outsider, textOf } from "../../../helpers/datagram_stage.ts";
import { WORKING } from "../../../helpers/engine.ts";
import { turn, until } from "../../../helpers/turns.ts";

const SIZES = [1, 0, 24, 1400, LONGEST_DATAGRAM];
/** That stay in the system's buffers at the least. */
const BURST = 50;

for (const name of WORKING) {
  const test = (what: string, run: (stage: DatagramStage) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using stage = new DatagramStage(name);
      await run(stage);
    });

  for (const hostname of ["127.0.0.1", "::1"]) {
    test(`datagrams go both ways on ${hostname}, each as it was sent, and the peer is told`, async (stage) => {
      const server = await stage.bind(hostname);
      using other = new Outsider(hostname);
      const texts = SIZES.map((size, i) => String.fromCharCode(65 + i).repeat(size));
      for (const text of texts) await other.send(text, server.socket.address);
      await server.until(texts.length);
      assert.deepEqual(server.texts, texts);
      for (const { text, peer } of server.heard) {
        assert.deepEqual(peer.remote, other.address);
        assert.deepEqual(peer.local, server.socket.address);
        assert.equal(server.socket.send(datagram(text.toLowerCase()), peer), true);
      }
      for (const text of texts) {
        assert.deepEqual(await other.receive(), { text: text.toLowerCase(), from: server.socket.address });
      }
    });
  }

  test("a client hears of whom it sends to, and of nobody else", async (stage) => {
    const server = await stage.bind();
    const client = await stage.connect(server.socket.address);
    client.socket.send(datagram("hello"), client.socket.peer);
    await server.until(1);
    assert.equal(server.texts[0], "hello");
    const { peer } = server.heard[0]!;
    using other = new Outsider();
    await other.send("forged", peer.remote);
    await turn();
    server.socket.send(datagram("answer"), peer);
    await client.until(1);
    assert.deepEqual(client.texts, ["answer"]);
    assert.deepEqual(client.heard[0]!.peer.remote, server.socket.address);
    assert.equal(client.heard[0]!.peer, client.socket.peer);
  });

  test("on IPv6's wildcard an IPv4 address is what it is, and is answered", async (stage) => {
    const server = await stage.bind("::");
    for (const hostname of ["127.0.0.1", "::1"]) {
      server.heard.length = 0;
      const client = await stage.connect({ hostname, port: server.socket.address.port });
      client.socket.send(datagram(hostname), client.socket.peer);
      await server.until(1);
      const { text, peer } = server.heard[0]!;
      assert.deepEqual([text, peer.remote.hostname], [hostname, hostname]);
      server.socket.send(datagram("answer"), peer);
      await client.until(1);
    }
  });

  test("many datagrams come whole, in order, and a round ends after the last", async (stage) => {
    const server = await stage.bind();
    const clients = [await stage.connect(server.socket.address), await stage.connect(server.socket.address)];
    let sinceRound = 0;
    server.socket.onDatagram = (bytes, peer) => {
      assert.equal(bytes.constructor, Uint8Array); // whose slice is a copy
      sinceRound++;
      server.heard.push({ text: textOf(bytes), peer });
      server.socket.send(bytes, peer);
    };
    server.socket.onRound = () => sinceRound = 0;
    const expected: string[][] = [[], []];
    for (let burst = 0; burst < 20; burst++) {
      for (let i = 0; i < BURST; i++) {
        const text = `${burst}:${i}`.padEnd(10 + 7 * i, ".");
        for (const [which, { socket }] of clients.entries()) {
          expected[which]!.push(text);
          assert.equal(socket.send(datagram(text), socket.peer), true);
        }
      }
      for (const [which, client] of clients.entries()) await client.until(expected[which]!.length);
    }
    for (const [which, client] of clients.entries()) assert.deepEqual(client.texts, expected[which]);
    const byPeer = Map.groupBy(server.heard, ({ peer }) => peer.key);
    assert.deepEqual([...byPeer.values()].map((of) => of.map(({ text }) => text)), expected);
    await until(() => sinceRound === 0, () => `${sinceRound} datagrams and no end of a round`);
  });

  test("one that is too long is dropped and counted, those after it are heard", async (stage) => {
    const server = await stage.bind();
    using other = new Outsider();
    for (const size of [LONGEST_DATAGRAM + 1, 5, 9000, 6]) await other.send("x".repeat(size), server.socket.address);
    await server.until(2);
    assert.deepEqual(server.texts.map(({ length }) => length), [5, 6]);
    assert.deepEqual(server.socket.losses, { tooLong: 2, unsent: 0 });
    const { peer } = server.heard[0]!;
    assert.equal(server.socket.send(new Uint8Array(LONGEST_DATAGRAM + 1), peer), false);
    assert.deepEqual(server.socket.losses, { tooLong: 2, unsent: 1 });
  });

  test("one that cannot be sent is lost and counted, and no other", async (stage) => {
    const server = await stage.bind();
    const nowhere = await stage.connect({ hostname: "192.0.2.1", port: 9 }); // not from 127.0.0.1
    const client = await stage.connect(server.socket.address);
    client.socket.send(datagram("hello"), client.socket.peer);
    await server.until(1);
    const { peer } = server.heard[0]!;
    for (const [text, to] of [["a", peer], ["b", nowhere.socket.peer], ["c", peer]] as const) {
      server.socket.send(datagram(text), to);
    }
    await client.until(2);
    assert.deepEqual(client.texts, ["a", "c"]);
    await until(() => server.socket.losses.unsent === 1, () => `${server.socket.losses.unsent} are counted`);
  });

  test("nobody at the other end does no harm: whoever comes there is heard", async (stage) => {
    const server = await stage.bind();
    const client = await stage.connect(server.socket.address);
    const other = await stage.connect(server.socket.address);
    client.socket.send(datagram("hello"), client.socket.peer);
    await server.until(1);
    const { peer } = server.heard[0]!;
    await client.socket.close();
    for (let i = 0; i < 3; i++) {
      server.socket.send(datagram("nobody"), peer);
      other.socket.send(datagram("hello"), other.socket.peer);
      await server.until(2 + i);
    }
    await server.socket.close();
    for (let i = 0; i < 3; i++) {
      other.socket.send(datagram("nobody"), other.socket.peer);
      for (let turns = 0; turns < 20; turns++) await turn();
    }
    const again = await stage.bind("127.0.0.1", { port: server.socket.address.port });
    // What the system heard before costs one at the most.
    for (let i = 0; i < 2; i++) {
      other.socket.send(datagram("again"), other.socket.peer);
      for (let turns = 0; turns < 20; turns++) await turn();
    }
    await again.until(1);
    again.socket.send(datagram("answer"), again.heard[0]!.peer);
    await other.until(1);
  });

  test("what is to be sent when it is closed is sent, and the address is free", async (stage) => {
    const server = await stage.bind();
    for (let round = 0; round < 3; round++) {
      const client = await stage.bind("127.0.0.1", { port: round === 0 ? 0 : server.heard.at(-1)!.peer.remote.port });
      const to = await stage.connect(server.socket.address);
      for (let i = 0; i < BURST; i++) assert.equal(client.socket.send(datagram(`${i}`), to.socket.peer), true);
      await client.socket.close();
      await client.socket.close();
      assert.equal(client.socket.send(datagram("late"), to.socket.peer), false);
      await server.until((round + 1) * BURST);
    }
    assert.deepEqual(server.texts, Array.from({ length: 3 * BURST }, (_, i) => `${i % BURST}`));
  });

  test("one that is closed in the middle of a round hears nothing more", async (stage) => {
    const server = await stage.bind();
    const client = await stage.connect(server.socket.address);
    server.socket.onDatagram = (bytes, peer) => {
      server.heard.push({ text: textOf(bytes), peer });
      server.socket.send(datagram("answer"), peer);
      void server.socket.close();
    };
    for (let i = 0; i < BURST; i++) client.socket.send(datagram(`${i}`), client.socket.peer);
    await client.until(1);
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.deepEqual([server.texts, server.rounds, client.texts], [["0"], 0, ["answer"]]);
  });

  test("an address that somebody has cannot be had, and why is told", async (stage) => {
    const { socket: { address } } = await stage.bind();
    await assert.rejects(stage.bind("127.0.0.1", { port: address.port }), {
      message: `Cannot listen on 127.0.0.1:${address.port}: the address is in use`,
    });
    await assert.rejects(stage.bind("192.0.2.1"), /^Error: Cannot listen on 192\.0\.2\.1:0: /);
    await assert.rejects(stage.connect({ hostname: "example.com", port: 1 }), {
      message: '"example.com" is no IP address',
    });
  });

  test("an idle engine hears what comes, and what is asked for is sent", async (stage) => {
    const server = await stage.bind();
    const client = await stage.connect(server.socket.address);
    server.socket.onDatagram = (bytes, peer) => void server.socket.send(bytes, peer);
    for (let i = 1; i < 4; i++) {
      for (let turns = 0; turns < 50; turns++) await turn(); // it sleeps
      client.socket.send(datagram("hello"), client.socket.peer);
      await client.until(i);
    }
  });
}
