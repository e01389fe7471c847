import assert from "node:assert/strict";
import fc from "fast-check";
import { verdictOn } from "../../../../lib/link/kcp/machine/segment.ts";
import { CONV, datagramOf, KcpStage } from "../../../helpers/kcp_stage.ts";
import { toHex } from "../../../helpers/vectors.ts";

const HELLO = "44332211510080000000000000000000000000000500000068656c6c6f";
const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16));

Deno.test("the first PUSH is laid on the wire as by kcp-go", () => {
  const stage = new KcpStage({ receiveWindow: 128 });
  stage.send("hello");
  stage.kcp.flush(0, (datagram) => assert.equal(toHex(datagram), HELLO));
  assert.equal(stage.kcp.counters.out, 1);
});

Deno.test("the first PUSH of kcp-go is read", () => {
  const stage = new KcpStage();
  assert.equal(stage.kcp.input(bytesOf(HELLO), 0, true), "ok");
  assert.equal(stage.received(), "hello");
});

Deno.test("a conversation may have any number", () => {
  for (const conv of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
    assert.equal(verdictOn(datagramOf({ command: "ack", conv }), conv), "ok");
    assert.equal(verdictOn(datagramOf({ command: "ack", conv }), conv ^ 1), "conv");
  }
});

Deno.test("a datagram that is cut after any byte is taken as far as its segments are whole, or not at all", () => {
  const whole = datagramOf({ command: "push", sn: 0, data: "one" }, { command: "push", sn: 1, data: "two" });
  for (let length = 0; length < whole.length; length++) {
    const stage = new KcpStage();
    const verdict = stage.kcp.input(whole.subarray(0, length), 0, true);
    const isWhole = length >= 27 && length < 51;
    assert.equal(verdict, isWhole ? "ok" : length < 24 ? "short" : "cut", `of ${length} bytes`);
    assert.equal(stage.received(), isWhole ? "one" : "", `of ${length} bytes`);
  }
});

Deno.test("what follows the last segment and is shorter than a head is ignored", () => {
  for (let length = 1; length < 24; length++) {
    const stage = new KcpStage();
    const datagram = datagramOf({ command: "push", data: "one" });
    const verdict = stage.kcp.input(Uint8Array.from([...datagram, ...Array(length).fill(0xff)]), 0, true);
    assert.deepEqual([verdict, stage.received()], ["ok", "one"]);
  }
});

Deno.test("a datagram with any other command, or a segment of another conversation, changes nothing", () => {
  for (let command = 0; command < 256; command++) {
    if (command >= 81 && command <= 84) continue;
    const stage = new KcpStage();
    const datagram = datagramOf({ command: "push", data: "one" }, { command: "push", sn: 1, data: "two" });
    datagram[27 + 4] = command;
    assert.equal(stage.kcp.input(datagram, 0, true), "command");
    assert.deepEqual([stage.received(), stage.kcp.due, stage.kcp.counters.in], ["", Infinity, 0]);
  }
  const stage = new KcpStage();
  const datagram = datagramOf({ command: "push", data: "one" }, { command: "push", sn: 1, conv: CONV + 1 });
  assert.equal(stage.kcp.input(datagram, 0, true), "conv");
  assert.deepEqual([stage.received(), stage.kcp.due], ["", Infinity]);
});

Deno.test("a segment may say that it has any length: more than there is, is refused", () => {
  const datagram = datagramOf({ command: "push", data: "one" });
  for (const length of [4, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 24, 2 ** 32 - 1]) {
    new DataView(datagram.buffer).setUint32(20, length, true);
    assert.equal(verdictOn(datagram, CONV), "cut", `${length}`);
  }
});

Deno.test("a datagram of 1,500 bytes is taken, and no longer one", () => {
  assert.equal(verdictOn(datagramOf({ command: "push", data: "x".repeat(1476) }), CONV), "ok");
  assert.equal(verdictOn(datagramOf({ command: "push", data: "x".repeat(1477) }), CONV), "long");
});

Deno.test("fragments are ignored: data are a stream", () => {
  const stage = new KcpStage();
  stage.input({ command: "push", fragments: 2, data: "a" }, { command: "push", sn: 1, fragments: 1, data: "b" });
  assert.equal(stage.received(), "ab");
});

Deno.test("junk gets a verdict, whatever it is, and a machine goes on after it", () => {
  const head = fc.record({
    command: fc.constantFrom("push", "ack", "ask", "tell"),
    window: fc.nat(65535),
    ts: fc.nat(2 ** 32 - 1),
    sn: fc.oneof(fc.nat(5), fc.nat(2 ** 32 - 1)),
    una: fc.oneof(fc.nat(5), fc.nat(2 ** 32 - 1)),
    data: fc.string({ maxLength: 20, unit: fc.constantFrom("a", "b") }),
  });
  const likely = fc.array(head as fc.Arbitrary<Parameters<typeof datagramOf>[0]>, { minLength: 1, maxLength: 5 })
    .chain((segments) => {
      const whole = datagramOf(...segments);
      const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
      return fc.tuple(fc.array(change, { maxLength: 2 }), fc.nat(whole.length)).map(([changes, length]) => {
        const bytes = whole.slice();
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes.subarray(0, length || whole.length);
      });
    });
  const datagram = fc.oneof(likely, fc.uint8Array({ maxLength: 1600 }));
  fc.assert(fc.property(fc.array(datagram, { maxLength: 20 }), (datagrams) => {
    const stage = new KcpStage();
    stage.sendEach("one", "two", "three");
    for (const bytes of datagrams) {
      const verdict = stage.kcp.input(bytes, stage.pass(5).now, true);
      assert(["ok", "short", "long", "conv", "command", "cut"].includes(verdict));
      stage.flush();
      stage.received();
    }
    const una = stage.kcp.una;
    assert(una <= 3, "nothing is acknowledged that was not sent");
    const { next } = stage.kcp;
    stage.input({ command: "push", sn: next, una: 3, data: "after" });
    assert(stage.received().startsWith("after"));
    assert.deepEqual([stage.kcp.una, stage.kcp.unacknowledged], [3, 0]);
  }));
});
