import assert from "node:assert/strict";
import { Backend } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { deadAddress } from "../helpers/dead_address.ts";
import { Goscon } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { RawClient } from "../helpers/raw_client.ts";

/** An address that is free, and that nobody but this test has in mind. */
async function freeAddress(): Promise<string> {
  await using listener = new Backend();
  const [a, b, c] = crypto.getRandomValues(new Uint8Array(3)).map((byte) => 1 + byte % 250);
  return `127.${a}.${b}.${c}:${listener.port}`;
}

/** The first session that can be had of a proxy that starts. Before, nobody may be accepted: connections are refused. */
async function firstSession(goscon: Goscon, address: string): Promise<RawClient> {
  let over = false;
  void goscon.exited().then(() => over = true);
  for (;;) {
    assert(!over, "the process has ended");
    try {
      return await RawClient.open(address);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
  }
}

Deno.test("whoever is accepted while the process starts is served, and a signal right then is handled", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  for (const workers of [1, 3]) {
    for (const signal of ["SIGHUP", "SIGTERM"] as const) {
      const address = await freeAddress();
      const config =
        `tcp: ${address}\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]\nworkers: ${workers}\nshutdown_timeout: 10ms`;
      await Deno.writeTextFile(file, config);
      await using goscon = Goscon.spawn(["--config", file, "--log-format", "json", "--log-level", "debug"]);
      using client = await firstSession(goscon, address);
      goscon.kill(signal);
      if (signal === "SIGHUP") await goscon.event((e) => e.message === "configuration reloaded");
      else await goscon.event((e) => e.message === "draining");
      await client.send(pattern(0, 100));
      assertSameBytes(await client.receive(100), pattern(0, 100));
      goscon.kill(signal === "SIGHUP" ? "SIGINT" : "SIGTERM");
      assert.equal(await goscon.ended(), signal === "SIGHUP" ? 0 : 1);
    }
  }
  await Deno.remove(file);
});

Deno.test("a node that waits for a slot, as there is no Redis, ends at the first signal", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await Deno.writeTextFile(
      file,
      `
        tcp: 127.0.0.1:0
        hosts: [{addr: "builtin:echo"}]
        cluster:
          name: test
          discovery: redis
          redis: { url: "redis://${deadAddress()}" }
          listen: 127.0.0.1:0
          secrets: [a secret of the test]
      `,
    );
    await using goscon = Goscon.spawn(["--config", file, "--log-format", "json"]);
    await goscon.event(({ message }) => message === "redis is away");
    goscon.kill(signal);
    assert.equal(await goscon.ended(), 0);
    assert.equal(goscon.events.at(-1)!.message, "stopped");
  }
  await Deno.remove(file);
});
