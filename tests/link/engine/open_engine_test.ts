import assert from "node:assert/strict";
import { join } from "node:path";
import { NATIVE } from "../../helpers/engine.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const PROBE = join(import.meta.dirname!, "..", "..", "helpers", "engine_probe.ts");

async function probe(permissions: string[], args: string[]): Promise<{ name: string; why?: string; opened: number }> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissions, PROBE, ...args],
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  const err = new TextDecoder().decode(stderr);
  assert.doesNotMatch(err, /ffi access|prompt/i);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** The system's calls are one library, those of io_uring another. */
const librariesOf = (name: string) => name === "uring" ? 2 : 1;

Deno.test("where all is allowed, the C library's sockets are had, as they were asked for", LINUX, async () => {
  for (const permissions of [["-A"], ["--allow-ffi"]]) {
    for (const name of NATIVE) assert.deepEqual(await probe(permissions, [name]), { name, opened: librariesOf(name) });
    const { name, why } = await probe(permissions, ["auto"]);
    assert.equal(name, NATIVE[0]);
    // Those before it do not work here.
    if (name === "uring") assert.equal(why, undefined);
    else assert.match(why!, /^no uring: [^;]+$/);
  }
});

Deno.test(
  "where foreign functions are not allowed, or not all, Deno's are had, and nobody is asked",
  LINUX,
  async () => {
    const why = (...names: string[]) =>
      names.map((name) => `no ${name}: foreign functions are not allowed (--allow-ffi)`).join("; ");
    const some = ["--allow-ffi=/lib/x86_64-linux-gnu/libc.so.6"];
    for (const permissions of [[], ["--allow-net"], ["--deny-ffi"], ["-A", "--deny-ffi"], some]) {
      for (const wanted of ["auto", "uring"]) {
        assert.deepEqual(await probe(permissions, [wanted]), { name: "deno", why: why("uring", "epoll"), opened: 0 });
      }
      assert.deepEqual(await probe(permissions, ["epoll"]), { name: "deno", why: why("epoll"), opened: 0 });
    }
  },
);

Deno.test("where there is no such library, Deno's are had", LINUX, async () => {
  const { name, why, opened } = await probe(["-A"], ["auto", "libnosuch.so.6"]);
  assert.deepEqual([name, opened], ["deno", 2]);
  assert.match(why!, /^no uring: [^;]*libnosuch.*; no epoll: .*libnosuch/);
});

Deno.test("who wants Deno's sockets has them, and opens no library", async () => {
  assert.deepEqual(await probe(["-A"], ["deno"]), { name: "deno", opened: 0 });
});
