import assert from "node:assert/strict";
import { runCuts } from "../../soak/cut_run.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { Random } from "../../helpers/random.ts";
import { engineOf, NATIVE } from "../../helpers/engine.ts";

for (const name of NATIVE) {
  Deno.test(`${name}: whatever is cut, and how, every byte arrives once, and no descriptor stays`, async () => {
    const random = new Random();
    const before = [...ownDescriptors().keys()].sort();
    try {
      const { bytes } = await runCuts(engineOf(name), 1000, random);
      assert(bytes > 1_000_000, `only ${bytes} bytes`);
    } catch (error) {
      throw new Error(`seed ${random.seed}`, { cause: error });
    }
    assert.deepEqual([...ownDescriptors().keys()].sort(), before, `seed ${random.seed}`);
  });
}
