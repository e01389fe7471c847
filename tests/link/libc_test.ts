import assert from "node:assert/strict";
import { bindablePort, monotonicMicroseconds, resetConnection } from "../../lib/link/libc.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };

for (const hostname of ["127.0.0.1", "::1"]) {
  Deno.test(`resetConnection() has the other end see a reset: ${hostname}`, LINUX, async () => {
    using listener = Deno.listen({ hostname, port: 0 });
    using near = await Deno.connect({ hostname, port: listener.addr.port });
    using far = await listener.accept();
    // Another one, which it is not.
    using other = await Deno.connect({ hostname, port: listener.addr.port });
    using far2 = await listener.accept();
    const pending = far.read(new Uint8Array(1)).catch(() => {});
    assert.equal(resetConnection(far), true);
    await assert.rejects(near.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    await pending;
    await far2.write(new Uint8Array(1));
    assert.equal(await other.read(new Uint8Array(2)), 1);
  });
}

Deno.test("bindablePort() gives a port that is free, and does not listen on it", LINUX, async () => {
  const port = bindablePort({ hostname: "127.0.0.1", port: 0 })!;
  assert(port > 0);
  assert.equal(bindablePort({ hostname: "127.0.0.1", port }), port);
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
});

Deno.test(
  "bindablePort() gives none that somebody has, also one who would share it, nor where it cannot tell",
  LINUX,
  () => {
    for (const hostname of ["127.0.0.1", "0.0.0.0"]) {
      using listener = Deno.listen({ hostname, port: 0, reusePort: true });
      assert.equal(bindablePort({ hostname: "127.0.0.1", port: listener.addr.port }), undefined);
    }
    assert.equal(bindablePort({ hostname: "localhost", port: 0 }), undefined);
    assert.equal(bindablePort({ hostname: "192.0.2.1", port: 0 }), undefined); // not of this machine
  },
);

Deno.test("monotonicMicroseconds() is the clock that other processes have", LINUX, async () => {
  const before = monotonicMicroseconds()!;
  // Of Node it is this one, in nanoseconds.
  const { stdout } = await new Deno.Command("node", { args: ["--print", "process.hrtime.bigint() / 1000n + ''"] })
    .output();
  const nodes = Number(new TextDecoder().decode(stdout));
  const after = monotonicMicroseconds()!;
  assert(before <= nodes && nodes <= after, `${before} ${nodes} ${after}`);
});
