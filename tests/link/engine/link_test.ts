import assert from "node:assert/strict";
import type { SocketLink } from "../../../lib/link/engine/engine.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { NATIVE, WORKING } from "../../helpers/engine.ts";
import { FAMILIES, Stage } from "../../helpers/engine_pair.ts";
import { pattern } from "../../helpers/random.ts";
import { MSG_OOB, RawSocket } from "../../helpers/raw_socket.ts";
import { settled, stalled, turn } from "../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const FILL = 64 * 1024;
const codeOf = (error: unknown) => (error as { code?: string }).code;

/** Writes until nobody takes any more, then lets it be: how much was taken, and what settles when the rest is. */
async function fill(link: SocketLink, most: number): Promise<{ taken: number; rest: Promise<void> }> {
  let taken = 0;
  const rest = (async () => {
    while (taken < most) {
      taken += await link.write(pattern(taken, Math.min(FILL, most - taken)));
    }
  })();
  rest.catch(() => {});
  await stalled(() => taken, 100);
  return { taken, rest };
}

/** All that a link gives before it breaks, and why it does; no error: it ended. */
async function drain(link: Pick<SocketLink, "read">): Promise<{ bytes: Uint8Array; error?: unknown }> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(FILL);
  try {
    for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) chunks.push(buffer.slice(0, n));
  } catch (error) {
    return { bytes: concat(chunks), error };
  }
  return { bytes: concat(chunks) };
}

for (const name of WORKING) {
  for (const family of FAMILIES) {
    const test = (what: string, run: (stage: Stage) => Promise<void>) =>
      Deno.test(`a link of ${name} over ${family} ${what}`, async () => {
        await using stage = Stage.open(name, family);
        await run(stage);
      });

    test("is half-closed both ways while all buffers are full, and loses nothing", async (stage) => {
      const [near, far] = await stage.pair();
      const most = 256 * FILL;
      const fills = await Promise.all([fill(near, most), fill(far, most)]);
      assert(fills.every(({ taken }) => taken < most), "nobody was held up");
      const ends = fills.map(({ rest }, i) => rest.then(() => [near, far][i]!.closeWrite()));
      const [back, forth] = await Promise.all([readToEnd(near), readToEnd(far), ...ends]);
      assertSameBytes(back as Uint8Array, pattern(0, most));
      assertSameBytes(forth as Uint8Array, pattern(0, most));
    });

    test("is written to after the other end has ended its direction", async (stage) => {
      const [near, far] = await stage.pair();
      await far.closeWrite();
      assert.equal(await near.read(new Uint8Array(1)), null);
      const received = readExactly(far, 10 * FILL + 1);
      await writeAll(near, pattern(0, 10 * FILL));
      await near.closeWrite();
      assertSameBytes(await received, pattern(0, 10 * FILL));
    });

    test("ends, when the other is closed, after all that it sent", async (stage) => {
      const [near, far] = await stage.pair();
      await writeAll(far, pattern(0, 1000));
      far.close();
      assertSameBytes(await readToEnd(near), pattern(0, 1000));
      assert.equal(await near.read(new Uint8Array(1)), null);
    });

    test("rejects a write that waits, and a read, when it is closed", async (stage) => {
      const [near] = await stage.pair();
      const { rest } = await fill(near, 256 * FILL);
      const reading = near.read(new Uint8Array(1)).catch(() => null);
      near.close();
      assert.equal(await reading, null);
      await assert.rejects(rest);
      await assert.rejects(near.write(new Uint8Array(1)));
    });

    test("breaks for who writes, once the other end is gone", async (stage) => {
      const [near, far] = await stage.pair();
      far.close();
      await assert.rejects(async () => {
        for (;;) await near.write(new Uint8Array(FILL));
      }, (error) => ["EPIPE", "ECONNRESET"].includes(codeOf(error)!));
    });

    test("tells once that it is closed", async (stage) => {
      for (const how of ["close", "reset"] as const) {
        const [near] = await stage.pair();
        let closes = 0;
        near.onClose = () => closes++;
        near[how]();
        near.close();
        near.reset();
        await turn();
        assert.equal(closes, 1);
      }
    });

    test("gives bytes in reads of 64 KiB, and in reads of one byte", async (stage) => {
      const [near, far] = await stage.pair();
      const writing = writeAll(near, pattern(0, 3 * FILL));
      const one = new Uint8Array(1);
      for (let at = 0; at < 100; at++) {
        assert.equal(await far.read(one), 1);
        assertSameBytes(one, pattern(at, 1));
      }
      const large = new Uint8Array(2 * FILL);
      const n = await far.read(large);
      assertSameBytes(large.subarray(0, n!), pattern(100, n!));
      await writing;
      assertSameBytes(await readExactly(far, 3 * FILL - 100 - n!), pattern(100 + n!, 3 * FILL - 100 - n!));
    });

    test("gives no bytes, and no end, to who has no room", async (stage) => {
      const [near, far] = await stage.pair();
      await writeAll(far, pattern(0, 5));
      assert.equal(await near.read(new Uint8Array(0)), 0);
      assertSameBytes(await readExactly(near, 5), pattern(0, 5));
    });

    if (family === "Unix") continue; // where a reset is an end, and the kernel counts its own memory

    test("tells who reads of a reset, after the bytes that came before", async (stage) => {
      const [near, far] = await stage.pair();
      await writeAll(far, pattern(0, 1000));
      assertSameBytes(await readExactly(near, 10), pattern(0, 10));
      far.reset();
      const { bytes, error } = await drain(near);
      assertSameBytes(bytes, pattern(10, bytes.length));
      assert.equal(codeOf(error), "ECONNRESET");
    });

    test("tells who writes of a reset", async (stage) => {
      const [near, far] = await stage.pair();
      const { rest } = await fill(near, 256 * FILL);
      far.reset();
      await assert.rejects(rest, (error) => ["EPIPE", "ECONNRESET"].includes(codeOf(error)!));
    });

    test("tells of a cut in mid-transfer, and gives no byte that is wrong", async (stage) => {
      const [near, far] = await stage.pair();
      const { rest } = await fill(far, 256 * FILL);
      const reading = drain(near);
      let received = 0;
      while (received < 3) received += await settled(reading) ? 3 : 1;
      far.reset();
      const { bytes, error } = await reading;
      assertSameBytes(bytes, pattern(0, bytes.length));
      assert.equal(codeOf(error), "ECONNRESET");
      await assert.rejects(rest);
    });

    test("tells the other end when it is closed with bytes unread", async (stage) => {
      const [near, far] = await stage.pair();
      await writeAll(far, pattern(0, 1000));
      await near.read(new Uint8Array(1));
      near.close();
      const { error } = await drain(far);
      if (name === "deno") assert.equal(error, undefined); // it ends its direction before it closes
      else assert.equal(codeOf(error), "ECONNRESET");
    });
  }

  Deno.test(`a link of ${name} breaks after a reset, whenever it comes to be read`, LINUX, async () => {
    await using stage = Stage.open(name);
    const accepting = stage.accept();
    using raw = RawSocket.connect(stage.address);
    const link = await accepting;
    raw.send(pattern(0, FILL));
    await turn();
    raw.reset();
    await turn();
    const { bytes, error } = await drain(link);
    assertSameBytes(bytes, pattern(0, bytes.length));
    assert.equal(codeOf(error), "ECONNRESET", "a clean end");
  });

  for (const size of [1, 100, FILL - 1, FILL, FILL + 1, 3 * FILL]) {
    Deno.test(`a link of ${name} hears of an end in the event of the last ${size} bytes`, LINUX, async () => {
      await using stage = Stage.open(name);
      const accepting = stage.accept();
      using raw = RawSocket.connect(stage.address);
      const link = await accepting;
      const received = readToEnd(link);
      await turn();
      raw.send(pattern(0, size)); // the link hears of nothing in between
      raw.shutdownWrite();
      assertSameBytes(await received, pattern(0, size));
      await writeAll(link, pattern(0, 3));
      assertSameBytes(await raw.receive(3), pattern(0, 3));
    });
  }
}

for (const name of NATIVE) {
  Deno.test(`a link of ${name} has urgent bytes where they were sent, and goes on after them`, async () => {
    await using stage = Stage.open(name);
    const accepting = stage.accept();
    using raw = RawSocket.connect(stage.address);
    const link = await accepting;
    for (let round = 0; round < 3; round++) {
      const received = readExactly(link, 10);
      await turn();
      for (const [at, length, flags] of [[0, 2, 0], [2, 1, MSG_OOB], [3, 2, 0], [5, 1, MSG_OOB], [6, 4, 0]] as const) {
        raw.send(pattern(at, length), flags); // the link hears of nothing in between
      }
      assertSameBytes(await received, pattern(0, 10)); // no end helps
    }
  });
}
