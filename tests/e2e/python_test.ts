import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import { Backend, readExactly, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { flakyTo } from "../helpers/flaky.ts";
import { Goscon } from "../helpers/goscon.ts";
import { HAS_PYTHON } from "../helpers/programs.ts";
import { runPythonClient, spawnPythonClient } from "../helpers/python_client.ts";
import { pattern } from "../helpers/random.ts";

const TOTAL = 1_000_000;

/** A proxy before that backend. */
const proxyTo = (addr: string, more = "") =>
  Goscon.start(`listen: [{tcp: "127.0.0.1:0", dialect: plain}]\nhosts: [{addr: "${addr}"}]\n${more}`);

const ignore = !HAS_PYTHON;

for (const rst of [false, true]) {
  Deno.test({
    name: `the example client in Python echoes 1 MB over links that are ${rst ? "reset" : "cut"} again and again`,
    ignore,
    fn: async () => {
      await using goscon = await proxyTo("builtin:echo");
      // No link carries more than this: 2 MB take ten or more.
      await using relay = flakyTo(goscon.addresses[0]!, { cutAfterBytes: 200_000, rst });
      const { code, out, err } = await runPythonClient(relay.address, pattern(0, TOTAL));
      assert.equal(code, 0, err);
      assertSameBytes(out, pattern(0, TOTAL));
      await goscon.event((e) => e.message === "session ended");
      const count = (message: string) => goscon.events.filter((e) => e.message === message).length;
      assert.equal(count("session new"), 1);
      assert(count("session resumed") >= 9, err);
    },
  });
}

Deno.test({
  name: "the example client in Python: each direction has its own end, whichever comes first",
  ignore,
  fn: async () => {
    await using backend = new Backend();
    await using goscon = await proxyTo(backend.address);
    for (const clientFirst of [true, false]) {
      const child = spawnPythonClient(goscon.addresses[0]!);
      const [link, writer] = [await backend.accept(), child.stdin.getWriter()];
      const toBackend = async () => {
        await writer.write(pattern(0, 100_000, 1));
        await writer.close();
        assertSameBytes(await readToEnd(link), pattern(0, 100_000, 1));
      };
      const output = new Response(child.stdout).bytes();
      const toClient = async () => {
        await writeAll(link, pattern(0, 100_000, 2));
        await link.closeWrite();
        assertSameBytes(await output, pattern(0, 100_000, 2));
      };
      for (const go of clientFirst ? [toBackend, toClient] : [toClient, toBackend]) await go();
      assert.equal(await new Response(child.stderr).text(), "");
      assert.equal((await child.status).code, 0);
    }
  },
});

Deno.test({
  name: "the example client in Python: a backend that breaks off is no end of the stream",
  ignore,
  fn: async () => {
    await using backend = new Backend();
    await using goscon = await proxyTo(backend.address);
    const running = runPythonClient(goscon.addresses[0]!, pattern(0, 1000));
    const link = await backend.accept();
    await readExactly(link, 1000);
    await writeAll(link, pattern(0, 5000, 2));
    link.reset();
    const { code, err } = await running;
    assert.equal(code, 1);
    assert.match(err, /^scp2: ended with 2: /);
  },
});

Deno.test({
  name: "the example client in Python does not go on with version 1",
  ignore,
  fn: async () => {
    await using goscon = await proxyTo("builtin:echo", "scp: {version: 1}");
    const { code, out, err } = await runPythonClient(goscon.addresses[0]!, pattern(0, 1000));
    assert.deepEqual([code, out.length], [1, 0]);
    assert.match(err, /the server has version 1 only/);
  },
});
