import assert from "node:assert/strict";
import { mock } from "node:test";
import { LONGEST_READ } from "../../../../lib/link/engine/uring/buffers.ts";
import { RingPoller } from "../../../../lib/link/engine/uring/ring_poller.ts";
import type { FlowingLink } from "../../../../lib/link/flow.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { Stage } from "../../../helpers/engine_pair.ts";
import { pattern } from "../../../helpers/random.ts";
import { RawSocket } from "../../../helpers/raw_socket.ts";
import { until } from "../../../helpers/turns.ts";

const RING = { ignore: !NATIVE.includes("uring") };

Deno.test("what is short among what is long does not change the way it is read; much of it does", RING, async () => {
  await using stage = Stage.open("uring");
  const accepting = stage.accept();
  using raw = RawSocket.connect(stage.address);
  const { flow } = await accepting as unknown as FlowingLink;
  let came = 0;
  flow.sink = { readable: ({ length }) => came += length, writable() {}, ended() {}, lost() {} };
  const byRing = mock.method(RingPoller.prototype, "receiveAll");
  try {
    flow.resume(Infinity);
    let sent = 0;
    const send = async (size: number) => {
      raw.send(pattern(sent, size));
      sent += size;
      await until(() => came === sent, () => `${came} bytes came, of ${sent}`);
    };
    await send(4 * LONGEST_READ);
    const before = byRing.mock.callCount();
    for (let i = 0; i < 20; i++) {
      await send(5);
      await send(4 * LONGEST_READ);
    }
    assert.equal(byRing.mock.callCount(), before);
    for (let i = 0; i < 20; i++) await send(5);
    assert.equal(byRing.mock.callCount(), before + 1);
  } finally {
    byRing.mock.restore();
  }
});
