import assert from "node:assert/strict";
import { join } from "node:path";
import { StateDir } from "../../../../lib/proxy/cluster/discovery/state_dir.ts";
import { TestLog } from "../../../helpers/proxy.ts";

async function withDir(run: (dir: string, log: TestLog) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await run(dir, new TestLog());
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const said = ({ events }: TestLog) => events.map(({ event }) => event);

Deno.test("StateDir reads what it has kept: each slot once, the last one first", () =>
  withDir(async (dir, log) => {
    const written = await StateDir.open(dir, log);
    await written.keep({ slot: 3, epoch: 5, instance: "a" });
    await written.keep({ slot: 1, epoch: 0, instance: "b" });
    await written.keep({ slot: 3, epoch: 6, instance: "c" });
    const read = await StateDir.open(dir, log);
    assert.deepEqual(read.had, [{ slot: 3, epoch: 6, instance: "c" }, { slot: 1, epoch: 0, instance: "b" }]);
    assert.equal(read.epochOf(3), 6);
    assert.equal(read.epochOf(2), undefined);
  }));

Deno.test("StateDir writes one file that its user alone can read, and leaves no other", () =>
  withDir(async (dir, log) => {
    const state = await StateDir.open(dir, log);
    await state.keep({ slot: 3, epoch: 5, instance: "a" });
    await state.keep({ slot: 3, epoch: 6, instance: "a" });
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["slots.json"]);
    if (Deno.build.os === "windows") return;
    assert.equal((await Deno.stat(join(dir, "slots.json"))).mode! & 0o777, 0o600);
  }));

Deno.test(
  "StateDir is never half written: the file is another one each time",
  { ignore: Deno.build.os === "windows" },
  () =>
    withDir(async (dir, log) => {
      const state = await StateDir.open(dir, log);
      await state.keep({ slot: 3, epoch: 5, instance: "a" });
      using before = await Deno.open(join(dir, "slots.json"));
      await state.keep({ slot: 4, epoch: 6, instance: "a" });
      assert.deepEqual(JSON.parse(await new Response(before.readable).text()), {
        slots: [{ slot: 3, epoch: 5, instance: "a" }],
      });
    }),
);

Deno.test("StateDir without a file begins empty, and says that it is so", () =>
  withDir(async (dir, log) => {
    assert.deepEqual((await StateDir.open(dir, log)).had, []);
    assert.deepEqual(said(log), ["no epochs remembered"]);
  }));

for (
  const [what, text] of [
    ["that is cut off", '{"slots":[{"slot":3,"epo'],
    ["that is empty", ""],
    ["of another form", '{"slots":{"3":5}}'],
    ["with an epoch that is no number", '{"slots":[{"slot":3,"epoch":"5","instance":"a"}]}'],
    ["with an epoch that cannot be counted on", '{"slots":[{"slot":3,"epoch":1e300,"instance":"a"}]}'],
    ["with a negative slot", '{"slots":[{"slot":-1,"epoch":5,"instance":"a"}]}'],
  ] as const
) {
  Deno.test(`StateDir warns of a file ${what}, begins empty, and writes it anew`, () =>
    withDir(async (dir, log) => {
      await Deno.writeTextFile(join(dir, "slots.json"), text);
      const state = await StateDir.open(dir, log);
      assert.deepEqual(state.had, []);
      assert.deepEqual(said(log), ["remembered epochs not read"]);
      await state.keep({ slot: 3, epoch: 5, instance: "a" });
      assert.equal((await StateDir.open(dir, log)).epochOf(3), 5);
    }));
}

Deno.test("StateDir warns of what cannot be read or written, and goes on", () =>
  withDir(async (dir, log) => {
    // A directory where the file should be: not even root reads that.
    await Deno.mkdir(join(dir, "slots.json", "in the way"), { recursive: true });
    const state = await StateDir.open(dir, log);
    await state.keep({ slot: 3, epoch: 5, instance: "a" });
    assert.deepEqual(said(log), ["remembered epochs not read", "epoch not remembered"]);
    assert.equal(state.epochOf(3), 5);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["slots.json"]);
  }));

Deno.test("StateDir without a directory forgets, and says nothing", async () => {
  const log = new TestLog();
  const state = await StateDir.open(undefined, log);
  await state.keep({ slot: 3, epoch: 5, instance: "a" });
  assert.equal(state.epochOf(3), 5);
  assert.deepEqual((await StateDir.open(undefined, log)).had, []);
  assert.deepEqual(said(log), []);
});
