import assert from "node:assert/strict";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { BareKcp, kcp } from "../../../helpers/kcp_client.ts";
import { textOf } from "../../../helpers/kcp_stage.ts";
import { pattern } from "../../../helpers/random.ts";
import { openOver, record } from "../../../helpers/raw_client.ts";
import { TestNode } from "../../../helpers/test_node.ts";
import { settled } from "../../../helpers/turns.ts";

const QUICK = { shutdown_timeout: "10ms" };
const EDGE = { ...QUICK, listen: [{ kcp: "127.0.0.1:0" }] };

Deno.test("sessions of both versions begin over KCP at an edge, and resume there", async () => {
  await using node = new TestNode(1, QUICK);
  await using edge = new TestNode(undefined, EDGE);
  await edge.proxy.ready;
  edge.know([node.view]);
  using acked = await AckedClient.open(edge.address, { dial: kcp });
  await acked.send(pattern(1, 200_000));
  assertSameBytes(await acked.receive(200_000), pattern(1, 200_000));
  await acked.resume();
  await acked.send(pattern(2, 1000));
  assertSameBytes(await acked.receive(1000), pattern(2, 1000));
  using raw = await openOver(await kcp(edge.address));
  await raw.send(pattern(3, 1000));
  assertSameBytes(await raw.receive(1000), pattern(3, 1000));
});

Deno.test("an owner dials no backend for a client of another process before that has shown where it is", async () => {
  await using backend = new Backend();
  await using node = new TestNode(1, { ...QUICK, hosts: [{ addr: backend.address }] });
  await using edge = new TestNode(undefined, EDGE);
  await edge.proxy.ready;
  edge.know([node.view]);
  using client = new BareKcp(edge.address);
  const accepted = backend.accept();
  await client.say({ command: "push", sn: 0, data: textOf(record("0\n782riWdFIwE=\n\n0")) });
  const [first, second] = [await client.next("push"), await client.next("push")];
  await client.say({ command: "ack", sn: 0, ts: (first.ts + 1_000_000) >>> 0, una: 1 });
  await client.say({ command: "ask" });
  await client.next("tell");
  assert.deepEqual([await settled(accepted), (await node.proxy.snapshot()).stats.sessionsBegun], [false, 0]);
  await client.say({ command: "ack", sn: 0, ts: second.ts, una: 1 });
  (await accepted).close();
});
