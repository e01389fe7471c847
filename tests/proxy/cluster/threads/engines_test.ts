import assert from "node:assert/strict";
import type { EngineName } from "../../../../lib/config/engines.ts";
import { openEngines } from "../../../../lib/proxy/cluster/threads/engines.ts";
import { NATIVE } from "../../../helpers/engine.ts";

/** Threads, of which the second cannot have some engines; and what each of them was told. */
function threads(refused: EngineName[]) {
  const told: EngineName[][] = [[], [], []];
  const all = told.map((names, i) => ({
    open(name: EngineName): Promise<void> {
      names.push(name);
      return i === 1 && refused.includes(name) ? Promise.reject(new Error(`no ${name}: no memory`)) : Promise.resolve();
    },
  }));
  return { all, told };
}

Deno.test("threads have the engine that was asked for, when each of them can", async () => {
  for (const name of [...NATIVE, "deno"] as const) {
    const { all, told } = threads([]);
    assert.deepEqual(await openEngines(all, name), { name });
    assert.deepEqual(told, [[name], [name], [name]]);
  }
});

Deno.test("when one thread cannot have an engine all have the next, and why is told", async () => {
  const { all, told } = threads(NATIVE);
  const why = NATIVE.map((name) => `no ${name}: no memory`).join("; ");
  assert.deepEqual(await openEngines(all, NATIVE[0] ?? "deno"), { name: "deno", ...(why !== "" && { why }) });
  assert.deepEqual(told, Array(3).fill([...NATIVE, "deno"]));
});

Deno.test("when one thread can have none, nobody goes on", async () => {
  await assert.rejects(openEngines(threads([...NATIVE, "deno"]).all, "auto"), /no deno: no memory/);
});
