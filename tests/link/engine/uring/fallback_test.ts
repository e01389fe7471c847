import assert from "node:assert/strict";
import { openEngine } from "../../../../lib/link/engine/open_engine.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import { RingCalls } from "../../../../lib/link/engine/uring/ring_calls.ts";
import { Ring } from "../../../../lib/link/engine/uring/ring.ts";
import { descriptorsOf } from "../../../helpers/accepted.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { ownDescriptors } from "../../../helpers/own_descriptors.ts";
import { RingSpy } from "../../../helpers/ring_spy.ts";

const RING = { ignore: !NATIVE.includes("uring") };
/** Where the features of a `struct io_uring_params` are. */
const FEATURES_AT = 20;

/** What of a class is another while a function runs. */
function withOthers<T extends object>(prototype: T, others: Partial<T>, run: () => void): void {
  const names = Object.keys(others);
  const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(prototype, name)!] as const);
  for (const name of names) Object.defineProperty(prototype, name, Object.getOwnPropertyDescriptor(others, name)!);
  try {
    run();
  } finally {
    for (const [name, property] of before) Object.defineProperty(prototype, name, property);
  }
}

/** Memory that this process shares with the kernel for rings. */
const ringMaps = () => Deno.readTextFileSync("/proc/self/maps").split("\n").filter((line) => /io_uring/.test(line));

/** Why there is no ring when its calls are these, and `errno` is what it is: nothing of it stays. */
async function whyNot(calls: Partial<RingCalls>, errno?: number): Promise<string> {
  using spy = new RingSpy();
  const [descriptors, maps] = [[...ownDescriptors().keys()].sort(), ringMaps()];
  let opened: ReturnType<typeof openEngine> | undefined;
  const open = () => withOthers(RingCalls.prototype, calls, () => opened = openEngine("auto"));
  if (errno === undefined) open();
  else withOthers(System.prototype, { errno }, open);
  const { engine, why } = opened!;
  await engine.close();
  assert.equal(engine.name, "epoll", "it is had all the same");
  assert.equal(spy.mapped.size, 0, "memory is not given back");
  assert.deepEqual([...ownDescriptors().keys()].sort(), descriptors);
  assert.deepEqual(ringMaps(), maps);
  return why!;
}

Deno.test("where the kernel has no io_uring, or does not allow it, epoll is had, and why is told", RING, async () => {
  for (
    const [errno, text] of [
      [1, "Operation not permitted (os error 1)"],
      [12, "Cannot allocate memory (os error 12)"],
      [22, "Invalid argument (os error 22)"],
      [38, "Function not implemented (os error 38)"],
    ] as const
  ) {
    assert.equal(await whyNot({ setup: () => -1 }, errno), `no uring: io_uring_setup: ${text}`);
  }
});

Deno.test("where io_uring lacks a feature that is needed, epoll is had", RING, async () => {
  const { setup } = RingCalls.prototype;
  // One mapping for both queues, nothing dropped, a wait with a limit.
  for (const feature of [1 << 0, 1 << 1, 1 << 8]) {
    const without: Partial<RingCalls> = {
      setup(entries, params) {
        const fd = setup.call(this, entries, params);
        const view = new DataView(params.buffer);
        view.setUint32(FEATURES_AT, view.getUint32(FEATURES_AT, true) & ~feature, true);
        return fd;
      },
    };
    assert.equal(await whyNot(without), `no uring: the kernel's io_uring lacks features 0x${feature.toString(16)}`);
  }
});

Deno.test("where the kernel does not take what the ring has to know, epoll is had", RING, async () => {
  const { register } = RingCalls.prototype;
  for (const nth of [1, 2]) {
    let count = 0;
    const why = await whyNot({
      register(...args) {
        return ++count === nth ? register.call(this, args[0], 9999, args[2], args[3]) : register.call(this, ...args);
      },
    });
    assert.match(why, /^no uring: .*Invalid argument \(os error 22\)$/);
    assert.equal(count, nth);
  }
});

Deno.test("where there is no memory for a ring, none of it stays", RING, async () => {
  const { map } = RingCalls.prototype;
  for (const nth of [1, 2, 3, 4]) {
    let count = 0;
    const why = await whyNot({
      map(...args) {
        if (++count === nth) throw new Error("no memory");
        return map.call(this, ...args);
      },
    });
    assert.deepEqual([why, count], ["no uring: no memory", nth]);
  }
});

Deno.test("where a ring can be had but does nothing, epoll is had", RING, async () => {
  assert.match(await whyNot({ enter: () => 0 }), /^no uring: io_uring does not tell what is done/);
});

Deno.test("where a ring's operations fail, epoll is had", RING, async () => {
  const { result } = Ring.prototype;
  for (const n of [-22, -95, 0]) {
    Ring.prototype.result = () => n;
    try {
      assert.match(await whyNot({}), /^no uring: .*\(os error (22|95|5)\)$/);
    } finally {
      Ring.prototype.result = result;
    }
  }
});

Deno.test("an engine by io_uring that is closed leaves no memory, and no descriptor", RING, async () => {
  using spy = new RingSpy();
  const before = descriptorsOf();
  const maps = ringMaps();
  for (let i = 0; i < 20; i++) {
    const { engine } = openEngine("uring");
    assert.equal(engine.name, "uring");
    assert.deepEqual([spy.mapped.size, ringMaps().length], [4, maps.length + 2]);
    await engine.close();
  }
  assert.equal(spy.mapped.size, 0);
  assert.deepEqual(ringMaps(), maps);
  // Deno may have opened some for itself.
  assert(descriptorsOf() < before + 20, `${descriptorsOf()} descriptors, where ${before} were`);
});
