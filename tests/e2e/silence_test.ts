import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import { readExactly } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { Goscon, runProgram } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { tcp } from "../helpers/raw_client.ts";
import { RoughPath } from "../helpers/rough_path.ts";
import { swallowingRelay } from "../helpers/swallowing_relay.ts";

const SILENT = /nothing came for \d+ ms, though something was sent \(silence\)/;

/** A path whose relay swallows all that comes over a connection after 300 to 600 bytes, and says nothing of it. */
const silentPath = () =>
  RoughPath.start({
    backend: "builtin:echo",
    reuseBuffer: "64KiB",
    flaky: ["--cut-after-bytes", "600", "--stall", "24h"],
    bridge: ["--protocol", "1", "--silence", "200ms"],
  });

Deno.test("an echo over a bridge goes on in version 1, though every link dies without a word", async () => {
  await using path = await silentPath();
  const program = await tcp(path.address);
  // Of a longer answer the first part may come, after which none is owed.
  for (let at = 0; at < 2000; at++) {
    await writeAll(program, pattern(at, 1));
    assertSameBytes(await readExactly(program, 1), pattern(at, 1), `GOSCON_SEED=${path.seed}`);
  }
  assert.equal(path.sessions, 1);
  assert(path.resumes >= 4, `only ${path.resumes} resumes`);
  const { reason } = await path.bridge.event((e) => e.message === "bridge session lost");
  assert.match(String(reason), SILENT);
  program.close();
});

Deno.test("connect gets its echo in version 1, though its link dies without a word", async () => {
  await using goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}]
    hosts: [{addr: "builtin:echo"}]
    scp: {version: 1}
  `);
  await using relay = swallowingRelay(goscon.addresses[0]!);
  const args = ["connect", relay.address, "--protocol", "1", "--silence", "200ms", "--linger", "3s"];
  const { code, out, err } = await runProgram(args, { input: "hello" });
  assert.deepEqual([code, out], [0, "hello"], err);
  assert.match(err, SILENT);
});
