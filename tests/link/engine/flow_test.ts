import assert from "node:assert/strict";
import type { FlowingLink, Sink } from "../../../lib/link/flow.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { flowOf } from "../../../lib/link/pumped_flow.ts";
import { readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { NATIVE, WORKING } from "../../helpers/engine.ts";
import { FAMILIES, Stage } from "../../helpers/engine_pair.ts";
import { pattern } from "../../helpers/random.ts";
import { RawSocket } from "../../helpers/raw_socket.ts";
import { stalled, turn } from "../../helpers/turns.ts";

const FILL = 64 * 1024;
const codeOf = (error: unknown) => (error as { code?: string }).code;

/** Hears of a flow, and writes down what it does. */
class Ear implements Sink {
  readonly chunks: Uint8Array[] = [];
  readonly heard: string[] = [];
  error: unknown;

  readable(bytes: Uint8Array): void {
    this.chunks.push(bytes.slice());
  }

  writable(): void {
    this.heard.push("writable");
  }

  ended(): void {
    this.heard.push("ended");
  }

  lost(error: unknown): void {
    this.heard.push("lost");
    this.error = error;
  }

  get bytes(): Uint8Array {
    return concat(this.chunks);
  }
}

/** Waits for it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

for (const name of WORKING) {
  for (const family of FAMILIES) {
    Deno.test(`a flow of ${name} over ${family} tells nothing while it is paused, and all once it is resumed`, async () => {
      await using stage = Stage.open(name, family);
      const [near, far] = await stage.pair();
      const flow = flowOf(near);
      const [first, second] = [new Ear(), new Ear()];
      flow.sink = first;
      await writeAll(far, pattern(0, 1000));
      await stalled(() => first.chunks.length, 20);
      assert.deepEqual(first.heard, []);
      flow.resume(300);
      assert.equal(first.chunks.length, 0, "it told in the middle of a call");
      await until(() => first.bytes.length === 1000);
      assert(first.chunks.every(({ length }) => length <= 300));
      flow.pause();
      flow.sink = second;
      await writeAll(far, pattern(1000, 1000));
      await far.closeWrite();
      await stalled(() => second.chunks.length + second.heard.length, 20);
      assert.deepEqual([second.bytes.length, second.heard], [0, []]);
      flow.resume(FILL);
      await until(() => second.heard.length > 0);
      assertSameBytes(concat([first.bytes, second.bytes]), pattern(0, 2000));
      assert.deepEqual(second.heard, ["ended"]);
      flow.close();
    });

    Deno.test(`a flow of ${name} over ${family} says when there is room again`, async () => {
      await using stage = Stage.open(name, family);
      const [near, far] = await stage.pair();
      const flow = flowOf(near);
      let sent = 0;
      const write = () => {
        while (sent < 256 * FILL) {
          const bytes = pattern(sent, Math.min(FILL, 256 * FILL - sent));
          const n = flow.write(bytes);
          sent += n;
          if (n < bytes.length) return;
        }
        flow.closeWrite();
      };
      flow.sink = { ...new Ear(), readable() {}, ended() {}, lost: assert.fail, writable: write };
      write();
      await stalled(() => sent, 100);
      assert(sent < 256 * FILL, "it was never full");
      assertSameBytes(await readToEnd(far), pattern(0, 256 * FILL));
      flow.close();
    });
  }

  Deno.test(`a flow of ${name} goes on after its sink has thrown`, { ignore: name === "deno" }, async () => {
    await using stage = Stage.open(name);
    const [near, far] = await stage.pair();
    const flow = flowOf(near);
    const ear = new Ear();
    let throws = 1;
    flow.sink = {
      ...ear,
      readable: (bytes) => {
        ear.readable(bytes);
        if (throws-- > 0) throw new Error("a fault of the sink");
      },
      writable() {},
      ended: () => ear.ended(),
      lost: assert.fail,
    };
    const errors: unknown[] = [];
    const onError = (event: ErrorEvent) => {
      event.preventDefault();
      errors.push(event.error);
    };
    addEventListener("error", onError);
    flow.resume(FILL);
    await writeAll(far, pattern(0, 100));
    await until(() => errors.length === 1);
    await writeAll(far, pattern(100, 100));
    await far.closeWrite();
    await until(() => ear.heard.length > 0);
    removeEventListener("error", onError);
    assertSameBytes(ear.bytes, pattern(0, 200));
    flow.close();
  });

  Deno.test(`a flow of ${name} says also who writes no bytes that it broke, when it is paused`, async () => {
    await using stage = Stage.open(name);
    const [near, far] = await stage.pair();
    const flow = flowOf(near);
    const ear = new Ear();
    flow.sink = ear;
    flow.resume(FILL); // as one does that reads
    await writeAll(far, pattern(0, 5));
    await until(() => ear.bytes.length === 5);
    flow.pause();
    assert.equal(flow.write(new Uint8Array(0)), 0);
    far.reset();
    let error: unknown;
    for (let turns = 0; error === undefined; turns++) {
      assert(turns < 10_000, "it never said so");
      await turn();
      try {
        flow.write(new Uint8Array(0));
      } catch (thrown) {
        error = thrown;
      }
    }
    assert.equal(codeOf(error), "ECONNRESET");
    const before = NATIVE.includes(name) ? ["writable"] : []; // by which a writer that has nothing to write finds out
    assert.deepEqual(ear.heard, before);
    flow.resume(FILL);
    await until(() => ear.heard.includes("lost"));
    assert.deepEqual([ear.heard, codeOf(ear.error)], [[...before, "lost"], "ECONNRESET"]);
    flow.close();
  });

  Deno.test(`a flow of ${name} that has ended its direction is not broken`, async () => {
    await using stage = Stage.open(name);
    const [near, far] = await stage.pair();
    const flow = flowOf(near);
    flow.sink = new Ear();
    flow.closeWrite();
    assert.equal(await far.read(new Uint8Array(1)), null);
    await far.closeWrite();
    for (let turns = 0; turns < 100; turns++) {
      await turn();
      assert.equal(flow.write(new Uint8Array(0)), 0);
    }
    flow.close();
  });
}

for (const name of NATIVE) {
  Deno.test(
    `a flow of ${name} counts what was not acknowledged: more than nothing while nobody takes it, nothing after that`,
    async () => {
      await using stage = Stage.open(name);
      const accepting = stage.accept();
      using raw = RawSocket.connect(stage.address, { receiveBuffer: 4096 });
      const { flow } = await accepting as unknown as FlowingLink;
      const bytes = new Uint8Array(FILL);
      let sent = 0;
      for (let n = FILL; n === FILL; sent += n) n = flow.write(bytes);
      const unacknowledged = flow.unacknowledged();
      assert(unacknowledged > 0 && unacknowledged <= sent);
      await raw.receive(sent);
      await until(() => flow.unacknowledged() === 0);
      flow.close();
      assert.equal(flow.unacknowledged(), 0);
    },
  );

  Deno.test(`a flow of ${name} over a Unix socket does not know what was not acknowledged`, async () => {
    await using stage = Stage.open(name, "Unix");
    const [near] = await stage.pair();
    const { flow } = near as unknown as FlowingLink;
    assert.equal(flow.write(new Uint8Array(10)), 10);
    assert.equal(flow.unacknowledged(), 0);
  });
}
