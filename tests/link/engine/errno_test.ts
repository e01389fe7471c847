import assert from "node:assert/strict";
import { familyOf } from "../../../lib/link/engine/sockaddr.ts";
import { AF_UNIX, System } from "../../../lib/link/engine/system.ts";
import { RingCalls } from "../../../lib/link/engine/uring/ring_calls.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { NATIVE } from "../../helpers/engine.ts";
import { FAMILIES, Stage } from "../../helpers/engine_pair.ts";
import { pattern } from "../../helpers/random.ts";
import { Wraps } from "../../helpers/wraps.ts";

const ENOENT = 2;

/** After every other call that fails, the runtime does something in this thread that fails too, before anybody asks why: while it lasts. */
class Meddling implements Disposable {
  count = 0;
  #failures = 0;
  readonly #wraps = new Wraps();
  readonly #libc = Deno.dlopen("libc.so.6", { access: { parameters: ["buffer", "i32"], result: "i32" } });

  constructor() {
    const meddle = (result: number, isAlways = false) => {
      if (result >= 0 || (!isAlways && this.#failures++ % 2 > 0)) return result;
      this.#libc.symbols.access(new TextEncoder().encode("/nowhere/at all\0"), 0);
      this.count++;
      return result;
    };
    for (const name of ["receive", "send", "accept"] as const) {
      // deno-lint-ignore no-explicit-any -- each takes what it takes
      this.#wraps.around(System.prototype as any, name, (call: any) => (...args: any[]) => meddle(call(...args)));
    }
    // A connection that is being made is no failure; of a path errno is believed.
    this.#wraps.around(System.prototype, "connect", (connect) => (fd, to) => {
      const result = connect(fd, to);
      return familyOf(to) === AF_UNIX ? result : meddle(result, true);
    });
    this.#wraps.around(RingCalls.prototype, "enter", (enter) => (...args) => meddle(enter(...args)));
    this.#wraps.around(System.prototype, "waited", (waited) => (result) => waited(meddle(result)));
  }

  [Symbol.dispose](): void {
    this.#wraps[Symbol.dispose]();
    this.#libc.close();
  }
}

for (const name of NATIVE) {
  for (const family of FAMILIES) {
    Deno.test(`${name}: what the runtime leaves in errno between a call and the look at it is no failure of a link, over ${family}`, async () => {
      using meddling = new Meddling();
      await using stage = Stage.open(name, family);
      const [near, far] = await stage.pair();
      // More than all buffers hold: both are held up, and have nothing to read, again and again.
      const bytes = pattern(0, 8 * 2 ** 20);
      for (const [from, to] of [[near, far], [far, near]] as const) {
        const [got] = await Promise.all([readExactly(to, bytes.length), writeAll(from, bytes)]);
        assertSameBytes(got, bytes);
      }
      assert(meddling.count > 0);
    });
  }
}

Deno.test("a wait that fails in a way that is not its own, again and again, is told", {
  ignore: Deno.build.os !== "linux",
}, () => {
  const system = System.open();
  const libc = Deno.dlopen("libc.so.6", { access: { parameters: ["buffer", "i32"], result: "i32" } });
  const fail = () => {
    libc.symbols.access(new TextEncoder().encode("/nowhere/at all\0"), 0);
    assert.equal(system.errno, ENOENT);
    return system.waited(-1);
  };
  for (let i = 0; i < 7; i++) assert.equal(fail(), 0);
  assert.throws(fail, { code: "ENOENT" });
  assert.equal(system.waited(3), 3);
  // Not in a row: an idle thread has waits that only run out of time for long.
  const bell = system.createBell();
  for (let i = 0; i < 20; i++) {
    assert.equal(fail(), 0);
    system.hush(bell); // which has not rung: EAGAIN
    assert.equal(system.waited(-1), 0);
  }
  system.close(bell);
  libc.close();
});
