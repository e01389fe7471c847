import assert from "node:assert/strict";
import { Goscon, runProgram } from "../helpers/goscon.ts";

const IGNORE = { ignore: Deno.build.os === "windows" };
const GOOD = `tcp: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]\n`;

Deno.test(
  "goscon reload waits until the manager has reloaded, and fails with the faults when it refuses",
  IGNORE,
  async () => {
    // On a port of its own: the file says where the manager is.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const manager = `manager: 127.0.0.1:${listener.addr.port}\nmanager_token: s3cret\n`;
    listener.close();
    await using goscon = await Goscon.start(GOOD + manager);
    const { config } = await goscon.event((e) => e.message === "goscon starting");
    const reload = () => runProgram(["reload", "--config", String(config)]);
    await goscon.rewrite(`${GOOD}${manager}scp: {reuse_time: 7s}\n`);
    assert.deepEqual(await reload(), { code: 0, out: "", err: "" });
    await goscon.event((e) => /reuse_time/.test(String(e.changed)));
    // What only the running process can tell: an address that somebody has.
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await goscon.rewrite(`${GOOD}${manager}`.replace(":0\n", `:${taken.addr.port}\n`));
    const refused = await reload();
    assert.equal(refused.code, 2);
    assert.match(refused.err, /^Cannot listen on 127\.0\.0\.1:\d+: the address is in use\n$/);
    await goscon.rewrite("hosts: 5");
    const faulty = await reload();
    assert.equal(faulty.code, 2);
    assert.match(faulty.err, /:1:8: hosts: expected/);
    await goscon.rewrite(GOOD + manager.replace("s3cret", "other"));
    const stranger = await reload();
    assert.equal(stranger.code, 1);
    assert.match(stranger.err, /answers 401/);
  },
);

Deno.test("goscon reload without a manager tests the file, and then sends SIGHUP", IGNORE, async () => {
  await using goscon = await Goscon.start(GOOD);
  const { config } = await goscon.event((e) => e.message === "goscon starting");
  const args = ["reload", "--config", String(config)];
  const nobody = await runProgram(args);
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /neither --pid nor MAINPID is given/);
  assert.equal((await runProgram(args, { env: { MAINPID: String(goscon.pid) } })).code, 0);
  await goscon.event((e) => e.message === "configuration reloaded");
  await goscon.rewrite("hosts: 5");
  assert.equal((await runProgram([...args, "--pid", String(goscon.pid)])).code, 2);
  assert.equal((await runProgram([...args, "--pid", "x"])).code, 2);
  assert.equal(goscon.events.filter((e) => e.message === "configuration not reloaded").length, 0);
});
