import assert from "node:assert/strict";
import trace from "../../../testdata/kcp/trace_plain.json" with { type: "json" };
import { Kcp } from "../../../../lib/link/kcp/machine/kcp.ts";
import { bytesOf, OPTIONS, segmentsOf, textOf } from "../../../helpers/kcp_stage.ts";

// What goscon's own client and goscon sent each other: [milliseconds, who, datagram in hex].
const EVENTS = (trace as [number, "client" | "server", string][]).map(([ms, from, hex]) => {
  const datagram = Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16));
  return { ms, from, datagram, conv: new DataView(datagram.buffer).getUint32(0, true) };
});
const CONVERSATIONS = [...new Set(EVENTS.map(({ conv }) => conv))];
const OTHER = { client: "server", server: "client" } as const;

/** What one side sent as the stream: the data of each sn, in order. */
function streamOf(conv: number, side: "client" | "server"): string[] {
  const data: string[] = [];
  for (const { datagram } of EVENTS.filter((event) => event.conv === conv && event.from === side)) {
    for (const segment of segmentsOf(datagram)) if (segment.command === "push") data[segment.sn] = segment.data;
  }
  return data;
}

for (const side of ["client", "server"] as const) {
  Deno.test(`trace: a machine in the place of goscon's ${OTHER[side]} takes what its ${side} sent, and acknowledges the same`, () => {
    assert.equal(CONVERSATIONS.length, 2);
    for (const conv of CONVERSATIONS) {
      const events = EVENTS.filter((event) => event.conv === conv);
      const kcp = new Kcp(conv, { ...OPTIONS, sendWindow: 2048, receiveWindow: 2048 }, { epoch: 0 });
      let received = "";
      const told: ReturnType<typeof segmentsOf> = [];
      const ours = streamOf(conv, OTHER[side]);
      for (const { ms, from, datagram } of events) {
        if (from === side) assert.equal(kcp.input(datagram, ms, true), "ok");
        else for (const { command, data } of segmentsOf(datagram)) if (command === "push") kcp.send(bytesOf(data));
        for (let bytes; (bytes = kcp.receive());) received += textOf(bytes);
        kcp.flush(ms, (datagram) => told.push(...segmentsOf(datagram)));
      }
      const theirs = streamOf(conv, side);
      assert.equal(received, theirs.join(""), "the stream");
      assert.equal(kcp.next, theirs.length, "all that came is acknowledged");
      const acknowledged = new Set(told.filter(({ command }) => command === "ack").map(({ sn }) => sn));
      assert(theirs.every((_, sn) => acknowledged.has(sn) || told.at(-1)!.una > sn));
      const una = segmentsOf(events.findLast(({ from }) => from === side)!.datagram).at(-1)!.una;
      assert.equal(kcp.una, una, "what the peer had in the end");
      const pushed = told.filter(({ command }) => command === "push");
      assert.deepEqual(pushed.map(({ sn, data }) => [sn, data]), [...ours.entries()], "each segment once");
    }
  });
}
