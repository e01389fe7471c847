import assert from "node:assert/strict";
import { SUCCESSOR } from "../../../../lib/link/kcp/away.ts";
import type { Engine } from "../../../../lib/link/engine/engine.ts";
import { DescriptorCalls } from "../../../../lib/link/engine/passing/descriptor_calls.ts";
import { type Link, writeAll } from "../../../../lib/link/link.ts";
import type { KcpThreads } from "../../../../lib/proxy/seams.ts";
import type { Packed } from "../../../../lib/proxy/session/move/packed.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, readExactly } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { engineOf, NATIVE } from "../../../helpers/engine.ts";
import { kcp } from "../../../helpers/kcp_client.ts";
import { END, give, moveAll } from "../../../helpers/moving.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { turn, until } from "../../../helpers/turns.ts";

if (NATIVE.length > 0) DescriptorCalls.open(); // it stays open, whoever is first

/** Runs with the engines of two proxies, one after the other. */
function test(what: string, run: (engines: Engine[]) => Promise<void>): void {
  Deno.test(what, { ignore: NATIVE.length === 0 }, async () => {
    const engines = [engineOf(NATIVE[0]!), engineOf(NATIVE.at(-1)!)];
    await run(engines);
    for (const engine of engines) await engine.close();
  });
}

test(
  "what is passed is read by one proxy at a time, and clients wait for the one that goes on",
  async (engines) => {
    await using backend = new Backend();
    const keys = { hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" };
    const listen = [{ kcp: "127.0.0.1:0" }];
    await using old = TestProxy.start({ ...keys, listen }, { engine: engines[0]! });
    const { address } = old;
    using client = await AckedClient.open(address, { dial: kcp });
    const far = await backend.accept();
    const [passed] = await old.proxy.passListeners();
    assert.deepEqual([passed!.isKcp, passed!.descriptors.length], [true, 1]);
    const inherited = [passed!.descriptors];
    await using next = TestProxy.start({ ...keys, listen: [{ kcp: address }] }, {
      engine: engines[1]!,
      portOf: ({ port }) => port,
    }, inherited);
    await next.proxy.ready;
    const carries = async (from: number) => {
      await client.send(pattern(from, 100));
      assertSameBytes(await readExactly(far, 100), pattern(from, 100));
    };
    await carries(0); // by the old one alone, all of it
    await next.proxy.setListening("streams");
    await old.proxy.setListening("paused");
    const waiting = AckedClient.open(address, { dial: kcp });
    await until(() => old.log.of("datagrams dropped").length > 0, () => "it is let in");
    await carries(1);
    await old.proxy.setListening("still");
    let hasCome = false;
    const carried = carries(2).then(() => hasCome = true);
    for (let turns = 0; turns < 100; turns++) await turn();
    assert.equal(hasCome, false, "somebody reads");
    assert.equal(await moveAll(old, next), 1);
    await carried;
    using late = await waiting;
    await backend.accept();
    assert.deepEqual([await old.size(), await next.size()], [0, 2]);
    assert.deepEqual(client.losses, []);
    await old.proxy.setListening("off");
    await carries(3);
    assert.deepEqual([late.losses, next.log.of("datagrams dropped")], [[], []]);
  },
);

test(
  "while sessions go over the old proxy reads on: what comes for those that go is the new one's, also before it has them",
  async (engines) => {
    await using backend = new Backend();
    const keys = { hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" };
    let given = 0;
    const kcpThreads: KcpThreads = {
      count: 1,
      redirect: () => Promise.resolve(false),
      release() {},
      leave: () => assert.fail("it is no other thread's"),
      give: (thread, cookie, came) => {
        assert.equal(thread, SUCCESSOR);
        given += came.length;
        next.proxy.hearKcp(cookie, structuredClone(came));
      },
    };
    await using old = TestProxy.start({ ...keys, listen: [{ kcp: "127.0.0.1:0" }] }, {
      engine: engines[0]!,
      kcpThreads,
    });
    const { address } = old;
    using one = await AckedClient.open(address, { dial: kcp });
    const farOne = await backend.accept();
    using other = await AckedClient.open(address, { dial: kcp });
    const farOther = await backend.accept();
    const inherited = (await old.proxy.passListeners()).map(({ descriptors }) => descriptors);
    await using next = TestProxy.start({ ...keys, listen: [{ kcp: address }] }, {
      engine: engines[1]!,
      portOf: ({ port }) => port,
    }, inherited);
    await next.proxy.ready;
    const carries = async (client: AckedClient, far: Link, from: number) => {
      await client.send(pattern(from, 100));
      assertSameBytes(await readExactly(far, 100), pattern(from, 100));
      await writeAll(far, pattern(from, 100));
      assertSameBytes(await client.receive(100), pattern(from, 100));
    };
    await next.proxy.setListening("streams");
    await old.proxy.setListening("paused");
    const moving = old.proxy.moveOut(1);
    const pieces = async () => (await moving.next()).value as Packed[];
    give(next, await pieces());
    const first = await pieces();
    const carried = carries(one, farOne, 0);
    await until(() => given > 0, () => "the new one hears of nothing");
    give(next, first);
    await carried;
    await carries(other, farOther, 0); // by the old one
    assert.deepEqual([await old.size(), await next.size()], [1, 1]);
    give(next, await pieces());
    await carries(other, farOther, 100);
    assert.deepEqual(await pieces(), []);
    await old.proxy.setListening("still");
    const before = given;
    assert.deepEqual(await pieces(), []);
    next.proxy.moveIn(END, []);
    for await (const last of moving) give(next, last);
    for (const [client, far] of [[one, farOne], [other, farOther]] as const) await carries(client, far, 200);
    await old.proxy.setListening("off");
    assert.deepEqual([given, one.losses, other.losses], [before, [], []]);
    for (const { log } of [old, next]) assert.deepEqual(log.of("datagrams dropped"), []);
  },
);
