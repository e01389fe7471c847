import assert from "node:assert/strict";
import type { Engine } from "../../../../lib/link/engine/engine.ts";
import { LINGER, readRecord, writeAll } from "../../../../lib/link/link.ts";
import { HandOver, type Nodes } from "../../../../lib/proxy/cluster/carry/hand_over.ts";
import { Offers } from "../../../../lib/proxy/cluster/carry/offers.ts";
import { dialPeer, type PeerConnection } from "../../../../lib/proxy/cluster/nodes/peer_door.ts";
import { layoutOf } from "../../../../lib/proxy/owner.ts";
import { SessionIds } from "../../../../lib/proxy/session/session_ids.ts";
import { ScpError } from "../../../../lib/scp/mod.ts";
import { Backend, readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { testEngine } from "../../../helpers/engine.ts";
import { pattern } from "../../../helpers/random.ts";
import { PREFACE } from "../../../helpers/peers.ts";
import { pair, record } from "../../../helpers/raw_client.ts";
import { TestNode } from "../../../helpers/test_node.ts";

const OWNER = { thread: 0, slot: 1, epoch: 5 };
const LETTER = { ...PREFACE, by: 0, number: 1, between: 0 };

/** An edge dials the node, to carry to it. */
function dial(node: TestNode, engine: Engine): Promise<PeerConnection> {
  return dialPeer({
    ...{ addr: node.addr, to: OWNER, engine, timeout: 20_000, options: node.config.cluster! },
    kind: "carry",
    identity: () => ({ instance: "other", role: "edge" }),
  });
}

Deno.test("a peer that says what is no letter is closed, with one line of the log; one that says nothing with none", async () => {
  await using node = new TestNode(1, { shutdown_timeout: "10ms" });
  const engine = testEngine();
  const say = async (bytes: Uint8Array) => {
    const { link } = await dial(node, engine);
    await writeAll(link, bytes);
    await link.closeWrite();
    assert.equal((await readToEnd(link)).length, 0);
    link.close();
  };
  await say(new Uint8Array(0));
  const wrong: [unknown, RegExp][] = [
    ["no JSON", /letter is wrong: all of it/],
    [null, /all of it/],
    [{ ...LETTER, remote: undefined }, /remote/],
    [{ ...LETTER, remote: { hostname: "a b", port: 1 } }, /remote\.hostname/],
    [{ ...LETTER, local: { hostname: "::1", port: 65536 } }, /local\.port/],
    [{ ...LETTER, dialect: "other" }, /dialect/],
    [{ ...LETTER, transport: "smoke" }, /transport/],
    [{ ...LETTER, by: 1000 }, /by/],
    [{ ...LETTER, number: 0 }, /number/],
    [{ ...LETTER, between: "1" }, /between/],
  ];
  for (const [i, [letter, reason]] of wrong.entries()) {
    await say(record(typeof letter === "string" ? letter : JSON.stringify(letter)));
    const told = await node.log.nth("nothing taken of a peer", i + 1);
    assert.match(String(told.reason), reason);
    assert.equal(told.instance, "other");
  }
  assert.equal(node.log.of("nothing taken of a peer").length, wrong.length);
  assert.equal(node.log.of("handshake failed").length, 0);
  await engine.close();
});

Deno.test("a resume of a client whose address anybody could have written counts as guessing nowhere", async () => {
  await using node = new TestNode(1, { shutdown_timeout: "10ms", limits: { resume_failures_per_ip: 1 } });
  await using other = new TestNode(2, { shutdown_timeout: "10ms" });
  other.know([node.view]);
  await using backend = new Backend();
  const id = new SessionIds(1n, OWNER, layoutOf({ slots: 64, threads: 16 })).next();
  const answers = [];
  for (const isProven of [false, false, true, true]) {
    const [client, near] = await pair(backend);
    const { remote, local } = PREFACE;
    const preface = { ...PREFACE, dialect: "goscon", isProven } as const;
    const rest = record(`${id}\n1\n0\nAAAAAAAAAAA=`);
    other.proxy.takeOver(
      Object.assign(near, { remote, local }),
      () => Promise.resolve({ preface, rest, from: "node" }),
    );
    answers.push((await readRecord(client))!.content);
    client.close();
  }
  assert.deepEqual(answers, ["0\n404", "0\n404", "0\n404", "0\n501"]);
});

Deno.test("of a session of version 1 no more than half of what can be sent again is between its owner and its client", async () => {
  for (const [reuseBuffer, between, bound] of [[256, 80, 48], [256, 0, 64], [256, 200, 0], [1024, 80, 256]] as const) {
    const scp = { reuse_buffer: `${reuseBuffer}KiB` };
    await using node = new TestNode(1, { shutdown_timeout: "10ms", scp });
    const engine = testEngine();
    const { link } = await dial(node, engine);
    await writeAll(link, record(JSON.stringify({ ...LETTER, between: between * 1024 })));
    await writeAll(link, record("0\n782riWdFIwE=\n\n0"));
    assert.deepEqual(JSON.parse((await readRecord(link))!.content), { bound: bound * 1024 });
    link.close();
    await engine.close();
  }
});

Deno.test("an owner that answers a letter with what is no receipt is closed, and its client may come again", async () => {
  await using backend = new Backend();
  const engine = testEngine();
  for (const receipt of ["", "null", '{"bound":"1"}', '{"bound":-1}']) {
    const [far, near] = await pair(backend);
    const [client, nearClient] = await pair(backend);
    const counts = { opened: 0, failed: 0 };
    const nodes: Nodes = {
      reach: () => Promise.resolve({ link: near, isFresh: true }),
      opened: () => {
        counts.opened++;
        return () => {};
      },
      failed: () => void counts.failed++,
      timeout: 20_000,
    };
    const handOver = new HandOver({
      ...{ engine, nodes, thread: 0, peers: [], secret: "", offers: Offers.of(1), random: () => 0.5 },
      isHere: () => false,
    });
    const endpoints = { remote: PREFACE.remote, local: PREFACE.local };
    const carried = handOver.carry(Object.assign(nearClient, endpoints), OWNER, PREFACE, record("1"));
    const refused = assert.rejects(carried, (error) => error instanceof ScpError && error.code === 501);
    const { remote, number } = JSON.parse((await readRecord(far))!.content);
    assert.deepEqual([remote, number], [PREFACE.remote, 2 ** 30], "numbers begin by chance");
    await writeAll(far, record(receipt));
    await refused;
    await readToEnd(far);
    assert.deepEqual(counts, { opened: 0, failed: 1 });
    for (const link of [far, client, nearClient]) link.close();
    await handOver.stop(0);
  }
  await engine.close();
});

Deno.test("an owner is reached, and answers, in one time, over however many connections; who is late is not asked twice", async () => {
  await using backend = new Backend();
  const engine = testEngine();
  for (const isClosed of [true, false]) {
    const pairs = [await pair(backend), await pair(backend), await pair(backend)] as const;
    const [[oldFar, oldNear], [far, near], [client, nearClient]] = pairs;
    const reached: [timeout: number, wanted: string | undefined][] = [];
    let failures = 0;
    const nodes: Nodes = {
      reach: (_owner, _hold, timeout, wanted) => {
        reached.push([timeout, wanted]);
        return Promise.resolve({ link: wanted ? near : oldNear, isFresh: wanted !== undefined });
      },
      opened: () => () => {},
      failed: () => void failures++,
      timeout: 200,
    };
    const handOver = new HandOver({
      ...{ engine, nodes, thread: 0, peers: [], secret: "", offers: Offers.of(1), random: () => 0.5 },
      isHere: () => false,
    });
    const endpoints = { remote: PREFACE.remote, local: PREFACE.local };
    const carried = handOver.carry(Object.assign(nearClient, endpoints), OWNER, PREFACE, record("1"));
    const begun = performance.now(); // not before its time has begun
    const refused = assert.rejects(carried, /no answer within/);
    await readRecord(oldFar);
    const passed = performance.now() - begun;
    if (isClosed) oldFar.close();
    await refused;
    assert.deepEqual(reached.map(([, wanted]) => wanted), isClosed ? [undefined, "fresh"] : [undefined]);
    for (const [timeout] of reached.slice(1)) assert(timeout <= 200 - passed, `${timeout} ms after ${passed}`);
    assert.equal(failures, 1);
    for (const link of [oldFar, far, client, nearClient]) link.close();
    if (!isClosed) near.close();
    await handOver.stop(0);
  }
  await engine.close();
});

Deno.test("an owner that tells of the end of a letter over a connection that broke does not end what went over the next", async () => {
  await using backend = new Backend();
  const engine = testEngine();
  using time = stillTime();
  const pairs = [await pair(backend), await pair(backend), await pair(backend)] as const;
  const [[oldFar, oldNear], [far, near], [client, nearClient]] = pairs;
  const nodes: Nodes = {
    reach: (_owner, _hold, _timeout, wanted) =>
      Promise.resolve({ link: wanted ? near : oldNear, isFresh: wanted !== undefined }),
    opened: () => () => {},
    failed: () => {},
    timeout: 20_000,
  };
  const handOver = new HandOver({
    ...{ engine, nodes, thread: 0, peers: [], secret: "", offers: Offers.of(1), random: () => 0.5 },
    isHere: () => false,
  });
  const { remote, local } = PREFACE;
  const carried = handOver.carry(Object.assign(nearClient, { remote, local }), OWNER, PREFACE, record("1"));
  const { number } = JSON.parse((await readRecord(oldFar))!.content);
  oldFar.close();
  const { content, rest } = (await readRecord(far))!;
  await readExactly(far, record("1").length - rest.length);
  await writeAll(far, record("{}"));
  await carried;
  handOver.ownerClosed(number);
  time.pass(LINGER);
  await writeAll(client, pattern(0, 10));
  assertSameBytes(await readExactly(far, 10), pattern(0, 10));
  handOver.ownerClosed(JSON.parse(content).number);
  time.pass(LINGER);
  assert.equal((await readToEnd(client)).length, 0);
  for (const link of [oldFar, far, client, nearClient]) link.close();
  await handOver.stop(0);
  await engine.close();
});
