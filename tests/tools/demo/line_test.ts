import assert from "node:assert/strict";
import { Line } from "../../../lib/tools/demo/line.ts";
import { formatEndpoint, type Link, writeAll } from "../../../lib/link/link.ts";
import { Backend, echo, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { ManualClock } from "../../helpers/manual_clock.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { settled, stalled, until } from "../../helpers/turns.ts";

const HELLO = new TextEncoder().encode("hello");

Deno.test("a line carries both ways, until it is cut, and again when the outage is over", async () => {
  await using backend = new Backend().serve(echo);
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: backend.port });
  const open = async () => await tcp(formatEndpoint(line.address));
  const before = await open();
  await writeAll(before, HELLO);
  assert.deepEqual(await readExactly(before, 5), HELLO);
  line.cut(2 ** 30);
  assert.equal((await readToEnd(before)).length, 0);
  const meanwhile = await open();
  assert.equal((await readToEnd(meanwhile).catch(() => [])).length, 0);
  line.cut(0);
  const after = await open();
  await writeAll(after, HELLO);
  assert.deepEqual(await readExactly(after, 5), HELLO);
  for (const link of [before, meanwhile, after]) link.close();
  await line.close();
  await assert.rejects(open());
});

Deno.test("a line to nothing closes what connects", async () => {
  const backend = new Backend();
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: backend.port });
  await backend[Symbol.asyncDispose]();
  const link = await tcp(formatEndpoint(line.address));
  assert.equal((await readToEnd(link).catch(() => [])).length, 0);
  link.close();
  await line.close();
});

Deno.test("close() closes what a line carries, and then all is closed", async () => {
  await using backend = new Backend();
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: backend.port });
  const [near, far] = await Promise.all([tcp(formatEndpoint(line.address)), backend.accept()]);
  await line.close();
  for (const link of [near, far]) {
    assert.equal((await readToEnd(link)).length, 0);
    link.close();
  }
});

/** A connection over a line in a time of its own: its two ends, and the line. */
async function setUp() {
  const backend = new Backend();
  const clock = new ManualClock();
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: backend.port }, clock);
  const [near, far] = await Promise.all([tcp(formatEndpoint(line.address)), backend.accept()]);
  return {
    ...{ line, clock, backend, near, far },
    async [Symbol.asyncDispose]() {
      near.close();
      await line.close();
      await backend[Symbol.asyncDispose]();
      assert.equal(clock.pending, 0, "a timer was left");
    },
  };
}

/** Takes what comes, until the end. */
function collect(link: Link) {
  const pieces: Uint8Array[] = [];
  const buffer = new Uint8Array(16 * 1024);
  const collecting = async () => {
    for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) pieces.push(buffer.slice(0, n));
  };
  const size = () => pieces.reduce((sum, piece) => sum + piece.length, 0);
  return { ended: collecting(), size, all: () => concat(pieces) };
}

for (const isUp of [true, false]) {
  Deno.test(`a slow line carries so many bytes a second, ${isUp ? "to" : "from"} the target`, async () => {
    await using slow = await setUp();
    const { line, clock } = slow;
    const [from, to] = isUp ? [slow.near, slow.far] : [slow.far, slow.near];
    const got = collect(to);
    line.rate = 1000;
    await writeAll(from, pattern(0, 10_000));
    for (let time = 0; time <= 1000; time += 100) {
      await until(() => got.size() >= time, () => `${got.size()} bytes came within ${time} ms`);
      await stalled(got.size);
      assert(got.size() <= time + 100, `${got.size()} bytes came within ${time} ms`);
      await clock.pass(100);
    }
    line.rate = Infinity;
    await from.closeWrite();
    await got.ended;
    assertSameBytes(got.all(), pattern(0, 10_000));
    assert.equal(line.carried, isUp ? 0 : 10_000);
  });

  Deno.test(`a slow line holds up who sends more ${isUp ? "to" : "from"} the target, and a cut ends it`, async () => {
    await using slow = await setUp();
    const { line, clock } = slow;
    const [from, to] = isUp ? [slow.near, slow.far] : [slow.far, slow.near];
    const got = collect(to);
    line.rate = 1000;
    let written = 0;
    const writing = (async () => {
      for (; written < 2 ** 26; written += 65536) await writeAll(from, pattern(0, 65536));
    })();
    const rejected = assert.rejects(writing);
    await stalled(() => written);
    line.cut(0);
    await clock.pass(1000);
    await rejected;
    await got.ended.catch(() => {});
  });
}

Deno.test("close() also closes a connection of which one direction has ended", async () => {
  await using half = await setUp();
  await half.near.closeWrite();
  assert.equal((await readToEnd(half.far)).length, 0);
});

for (const length of [0, 5000]) {
  Deno.test(`a dead line takes ${length} bytes and an end, each way, and tells nothing until it lives again`, async () => {
    await using dead = await setUp();
    const { line, near, far } = dead;
    line.rate = 0;
    const [up, down] = [collect(far), collect(near)];
    await Promise.all([writeAll(near, pattern(0, length)), writeAll(far, pattern(1, length))]);
    await Promise.all([near.closeWrite(), far.closeWrite()]);
    await stalled(() => up.size() + down.size());
    assert.deepEqual([up.size(), down.size()], [0, 0]);
    assert.deepEqual([await settled(up.ended), await settled(down.ended)], [false, false]);
    line.rate = Infinity;
    await Promise.all([up.ended, down.ended]);
    assertSameBytes(up.all(), pattern(0, length));
    assertSameBytes(down.all(), pattern(1, length));
  });
}

Deno.test("a dead line does not tell of a reset until it lives again", async () => {
  await using dead = await setUp();
  const { line, near, far } = dead;
  line.rate = 0;
  near.reset();
  const up = collect(far);
  await stalled(up.size);
  assert.equal(await settled(up.ended), false);
  line.rate = Infinity;
  await up.ended;
});

Deno.test("a dead line can be closed", async () => {
  await using dead = await setUp();
  dead.line.rate = 0;
  await writeAll(dead.near, HELLO);
});
