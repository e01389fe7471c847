import assert from "node:assert/strict";
import { join } from "node:path";

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

Deno.test("where all is allowed, the C library's sockets are had", LINUX, async () => {
  for (const wanted of ["auto", "epoll"]) {
    for (const permissions of [["-A"], ["--allow-ffi"]]) {
      assert.deepEqual(await probe(permissions, [wanted]), { name: "epoll", opened: 1 });
    }
  }
});

Deno.test(
  "where foreign functions are not allowed, or not all, Deno's are had, and nobody is asked",
  LINUX,
  async () => {
    const why = "foreign functions are not allowed (--allow-ffi)";
    const some = ["--allow-ffi=/lib/x86_64-linux-gnu/libc.so.6"];
    for (const permissions of [[], ["--allow-net"], ["--deny-ffi"], ["-A", "--deny-ffi"], some]) {
      for (const wanted of ["auto", "epoll"]) {
        assert.deepEqual(await probe(permissions, [wanted]), { name: "deno", why, opened: 0 });
      }
    }
  },
);

Deno.test("where there is no such library, Deno's are had", LINUX, async () => {
  const { name, why, opened } = await probe(["-A"], ["auto", "libnosuch.so.6"]);
  assert.deepEqual([name, opened], ["deno", 1]);
  assert.match(why!, /libnosuch/);
});

Deno.test("who wants Deno's sockets has them, and opens no library", async () => {
  assert.deepEqual(await probe(["-A"], ["deno"]), { name: "deno", opened: 0 });
});
