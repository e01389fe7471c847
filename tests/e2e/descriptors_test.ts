import assert from "node:assert/strict";
import { Goscon } from "../helpers/goscon.ts";

/** Starts a program as a login shell most often does: with a soft limit below the hard one. */
const LIMITED = { by: ["sh", "-c", 'ulimit -Sn 256 && exec "$@"', "sh"] };
const LINUX = { ignore: Deno.build.os !== "linux" };

async function limitsOf(pid: number): Promise<{ soft: string; hard: string }> {
  const [, soft, hard] = /^Max open files +(\S+) +(\S+)/m.exec(await Deno.readTextFile(`/proc/${pid}/limits`))!;
  return { soft: soft!, hard: hard! };
}

Deno.test(
  "the proxy may have as many descriptors open as the hard limit says, and its metrics tell",
  LINUX,
  async () => {
    await using goscon = await Goscon.start(
      `tcp: 127.0.0.1:0\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]`,
      LIMITED,
    );
    const { soft, hard } = await limitsOf(goscon.pid);
    assert.equal(soft, hard);
    const { text } = await goscon.manager("GET", "/metrics");
    assert.match(text, new RegExp(`^process_max_fds ${hard}$`, "m"));
  },
);

Deno.test("the bridge has as many as well", LINUX, async () => {
  const args = ["bridge", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1", "--log-format", "json"];
  await using bridge = Goscon.spawn(args, LIMITED);
  await bridge.event((e) => e.message === "bridge listening");
  const { soft, hard } = await limitsOf(bridge.pid);
  assert.equal(soft, hard);
});
