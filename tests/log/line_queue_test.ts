import assert from "node:assert/strict";
import { mock } from "node:test";
import { LineQueue } from "../../lib/log/line_queue.ts";
import { turn } from "../helpers/turns.ts";

const MIB = 2 ** 20;

/** A queue whose writes the test settles one by one. */
class Stage {
  text = "";
  readonly writes: { bytes: Uint8Array; settle: PromiseWithResolvers<number> }[] = [];
  readonly queue = new LineQueue({
    write: (bytes) => {
      const settle = Promise.withResolvers<number>();
      this.writes.push({ bytes, settle });
      return settle.promise;
    },
    tellDropped: (count) => `dropped ${count}\n`,
  });

  /** Takes so much of the write that is under way. */
  async take(most = Infinity): Promise<number> {
    const { bytes, settle } = this.writes.shift()!;
    const taken = bytes.subarray(0, most);
    this.text += new TextDecoder().decode(taken);
    settle.resolve(taken.length);
    await turn();
    return taken.length;
  }

  async takeAll(): Promise<void> {
    while (this.writes.length > 0) await this.take();
  }

  async fail(error: Error): Promise<void> {
    this.writes.shift()!.settle.reject(error);
    await turn();
  }
}

/** Numbered lines of 100 bytes. */
const line = (n: number) => `${String(n).padStart(99, "0")}\n`;

Deno.test("LineQueue writes at once, one write after another, in the order of the lines", async () => {
  const stage = new Stage();
  for (let n = 0; n < 1000; n++) stage.queue.push(line(n));
  assert.equal(stage.writes.length, 1);
  while (stage.writes.length > 0) {
    assert.equal(stage.writes.length, 1);
    await stage.take();
  }
  assert.equal(stage.text, Array.from({ length: 1000 }, (_, n) => line(n)).join(""));
  stage.queue.push("later\n");
  await stage.takeAll();
  assert(stage.text.endsWith("later\n"));
  assert.equal(stage.queue.dropped, 0);
});

Deno.test("LineQueue writes whole lines, of at most 4,096 bytes together, and what one write did not take next", async () => {
  const stage = new Stage();
  for (let n = 0; n < 100; n++) stage.queue.push(line(n));
  await stage.take();
  assert.equal(stage.writes[0]!.bytes.length, 4000);
  await stage.take(10);
  assert.equal(stage.writes[0]!.bytes.length, 3990);
  await stage.takeAll();
  assert.equal(stage.text, Array.from({ length: 100 }, (_, n) => line(n)).join(""));
});

Deno.test("LineQueue counts bytes, not characters, and writes a line that is longer than a batch whole", async () => {
  const stage = new Stage();
  const lines = ["first\n", "ü".repeat(1500) + "\n", "ü".repeat(1000) + "\n", "€".repeat(2000) + "\n", "last\n"];
  for (const each of lines) stage.queue.push(each);
  const sizes: number[] = [];
  while (stage.writes.length > 0) sizes.push(await stage.take());
  assert.equal(stage.text, lines.join(""));
  assert.deepEqual(sizes, [6, 3001, 2001, 6001, 5]);
  const fitting = Math.floor(MIB / 2001);
  for (let n = 0; n <= fitting; n++) stage.queue.push(lines[2]!);
  assert.equal(stage.queue.dropped, 1);
  await stage.takeAll();
});

Deno.test("LineQueue holds 1 MiB, drops what is more, and tells how much at its place", async () => {
  const stage = new Stage();
  const fitting = Math.floor(MIB / 100);
  for (let n = 0; n < fitting + 7; n++) stage.queue.push(line(n));
  stage.queue.push("fits\n"); // But it would stand before the line that tells.
  assert.equal(stage.queue.dropped, 8);
  await stage.take();
  stage.queue.push("after\n");
  await stage.takeAll();
  const expected = Array.from({ length: fitting }, (_, n) => line(n)).join("") + "dropped 8\nafter\n";
  assert.equal(stage.text, expected);
  for (let n = 0; n < fitting; n++) stage.queue.push(line(n));
  assert.equal(stage.queue.dropped, 8, "what was written does not count any more");
  await stage.takeAll();
});

Deno.test("LineQueue drops a line that is too long by itself, and tells", async () => {
  const stage = new Stage();
  stage.queue.push("x".repeat(MIB) + "\n");
  await stage.takeAll();
  assert.equal(stage.text, "dropped 1\n");
});

Deno.test("LineQueue counts what cannot be written, and goes on", async () => {
  const stage = new Stage();
  stage.queue.push("one\n");
  stage.queue.push("two\n");
  stage.queue.push("three\n");
  await stage.take();
  await stage.fail(new Deno.errors.BrokenPipe());
  assert.equal(stage.queue.dropped, 2);
  assert.deepEqual(stage.writes, []);
  stage.queue.push("four\n");
  await stage.takeAll();
  assert.equal(stage.text, "one\nfour\n");
});

Deno.test("LineQueue tries again after a while what would block", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const stage = new Stage();
    stage.queue.push("one\n");
    await stage.fail(new Deno.errors.WouldBlock());
    assert.deepEqual(stage.writes, []);
    mock.timers.tick(250);
    await turn();
    await stage.takeAll();
    assert.deepEqual([stage.text, stage.queue.dropped], ["one\n", 0]);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("LineQueue.flush() settles when all is written, or when its time is over", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const stage = new Stage();
    await stage.queue.flush(1000);
    stage.queue.push("one\n");
    stage.queue.push("two\n");
    let flushed = 0;
    const flush = () => void stage.queue.flush(1000).then(() => flushed++);
    flush();
    await stage.take();
    assert.equal(flushed, 0);
    await stage.take();
    assert.equal(flushed, 1);
    stage.queue.push("three\n");
    flush();
    mock.timers.tick(999);
    await turn();
    assert.equal(flushed, 1);
    mock.timers.tick(1);
    await turn();
    assert.equal(flushed, 2);
    await stage.takeAll();
  } finally {
    mock.timers.reset();
  }
});
