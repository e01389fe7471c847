import assert from "node:assert/strict";
import { mock } from "node:test";
import { connect } from "../../../lib/link/engine/udp/node_datagrams.ts";
import { dialKcp, type KcpDialOptions } from "../../../lib/link/kcp/kcp_dial.ts";
import { type Endpoint, writeAll } from "../../../lib/link/link.ts";
import { AckedClient } from "../../helpers/acked_client.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { withTimers } from "../../helpers/clock.ts";
import { StandIn } from "../../helpers/stand_in_socket.ts";
import { kcpProxy } from "../../helpers/kcp_proxy.ts";
import { datagramOf, type Segment, segmentsOf } from "../../helpers/kcp_stage.ts";
import { pattern } from "../../helpers/random.ts";
import { turn } from "../../helpers/turns.ts";
import { UdpSocket } from "../../helpers/udp.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }] };
/** Without a route from 127.0.0.1, or a name. */
const NOWHERE: Endpoint = { hostname: "nowhere", port: 9 };

const endpointOf = ({ port }: UdpSocket): Endpoint => ({ hostname: "127.0.0.1", port });

/** Dials, and keeps what was opened and answered. */
function watched(options: Partial<KcpDialOptions>) {
  const opened: Endpoint[] = [];
  const answered: Endpoint[] = [];
  const open: KcpDialOptions["open"] = (endpoint) => {
    opened.push(endpoint);
    return connect(endpoint);
  };
  return { opened, answered, options: { open, onAnswer: (from: Endpoint) => void answered.push(from), ...options } };
}

Deno.test("of several addresses each is tried after the one before, and the session is with the first that answers", async () => {
  await using proxy = await kcpProxy(ECHO);
  using silent = new UdpSocket();
  const [there] = proxy.proxy.addresses;
  const { opened, answered, options } = watched({ others: [endpointOf(silent), there!], patience: 50 });
  using client = await AckedClient.open(proxy.address, { dial: () => dialKcp(NOWHERE, options) });
  await client.send(pattern(0, 10_000));
  assertSameBytes(await client.receive(10_000), pattern(0, 10_000));
  assert.deepEqual(opened, [NOWHERE, endpointOf(silent), there]);
  assert.deepEqual(answered, [there]);
  // What went to the one before is of the same session: no other one was begun.
  assert.equal(await proxy.size(), 1);
});

Deno.test("an address that has answered is not given up for another: however long it is silent, nor when nobody is there any more", async () => {
  await withTimers(async () => {
    const sockets: StandIn[] = [];
    const open = () => Promise.resolve(sockets[sockets.push(new StandIn()) - 1]!);
    const link = await dialKcp({ hostname: "127.0.0.1", port: 1 }, { open, others: [NOWHERE], patience: 1000 });
    await writeAll(link, new Uint8Array(10));
    await turn();
    const [socket] = sockets as [StandIn];
    const [{ conv }] = segmentsOf(socket.sent[0]!) as [Segment];
    socket.onDatagram(datagramOf({ conv, command: "tell" }), socket.peer);
    mock.timers.tick(5000);
    socket.onDatagram(datagramOf({ conv, command: "push", data: "late" }), socket.peer);
    assert.equal(await link.read(new Uint8Array(10)), 4);
    const reading = assert.rejects(link.read(new Uint8Array(10)), /^Error: 127.0.0.1:1: nobody is there \(refused\)$/);
    socket.onRefused!(new Error("refused"));
    await reading;
    assert.deepEqual([sockets.length, socket.isClosed], [1, false]);
    link.close();
    assert.equal(socket.isClosed, true);
  });
});

Deno.test("the answer of a server is acknowledged at once, as that begins the session", async () => {
  const socket = new StandIn();
  const link = await dialKcp({ hostname: "127.0.0.1", port: 1 }, { open: () => Promise.resolve(socket) });
  await writeAll(link, new Uint8Array(10));
  await turn();
  const [{ conv }] = segmentsOf(socket.sent[0]!) as [Segment];
  socket.onDatagram(datagramOf({ conv, command: "push", ts: 77, una: 1, data: "answer" }), socket.peer);
  const [{ command, ts }] = segmentsOf(socket.sent[1]!) as [Segment];
  assert.deepEqual([command, ts], ["ack", 77]);
  assert.equal(await link.read(new Uint8Array(10)), 6);
  link.close();
});

Deno.test("where there is no socket for any address the dialling says why, of each", async () => {
  const { options } = watched({ others: [{ hostname: "256.0.0.1", port: 1 }] });
  await assert.rejects(
    dialKcp(NOWHERE, options),
    /^Error: nowhere:9: "nowhere" is no IP address; 256.0.0.1:1: "256.0.0.1" is no IP address$/,
  );
});

Deno.test("who is told that nobody is at an address says it all to the next at once, and at the last is lost", async () => {
  const sockets: StandIn[] = [];
  const open = () => Promise.resolve(sockets[sockets.push(new StandIn()) - 1]!);
  const link = await dialKcp({ hostname: "127.0.0.1", port: 1 }, {
    open,
    others: [{ hostname: "127.0.0.1", port: 2 }],
  });
  const reading = assert.rejects(
    link.read(new Uint8Array(10)),
    /^Error: 127.0.0.1:1: nobody is there \(refused\); 127.0.0.1:2: nobody is there \(refused\)$/,
  );
  await writeAll(link, new Uint8Array(10));
  for (let i = 0; i < 2; i++) {
    await turn();
    const [{ command, sn, data }] = segmentsOf(sockets[i]!.sent[0]!) as [Segment];
    assert.deepEqual([command, sn, data.length], ["push", 0, 10]);
    sockets[i]!.onRefused!(new Error("refused")); // as the system does, where it tells
  }
  await reading;
  link.close();
  assert(sockets.every(({ isClosed }) => isClosed));
});
