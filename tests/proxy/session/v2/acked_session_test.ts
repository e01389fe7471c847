import assert from "node:assert/strict";
import { Backend, readExactly, readToEnd } from "../../../helpers/backend.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { writeAll } from "../../../../lib/link/link.ts";

const LARGE = 3_000_000;

function start(keys: Record<string, unknown> = {}) {
  const backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms", ...keys });
  return {
    backend,
    proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

Deno.test("bytes go both ways, also over links that are cut, in both dialects", async () => {
  await using stage = await start();
  for (const [address, dialect] of [[stage.proxy.address, "goscon"], [stage.proxy.plainAddress, "plain"]] as const) {
    using client = await AckedClient.open(address, { dialect });
    const far = await stage.backend.accept();
    const sent = client.send(pattern(0, LARGE));
    const back = (async () => {
      for (let at = 0; at < LARGE; at += 50_000) await writeAll(far, pattern(at, 50_000, 1));
    })();
    const got = readExactly(far, LARGE);
    for (let i = 1; i <= 5; i++) {
      await client.until(() => client.session.received > i * 300_000);
      await client.resume();
    }
    assertSameBytes(await got, pattern(0, LARGE));
    assertSameBytes(await client.receive(LARGE), pattern(0, LARGE, 1));
    await Promise.all([sent, back]);
  }
});

Deno.test("each direction ends by itself; when both have, the session has", async () => {
  await using stage = await start();
  using client = await AckedClient.open(stage.proxy.address);
  const far = await stage.backend.accept();
  await client.send(pattern(0, 1000));
  client.stream.finish();
  assertSameBytes(await readToEnd(far), pattern(0, 1000));
  await writeAll(far, pattern(0, 5000, 1));
  await far.closeWrite();
  assertSameBytes(await client.receiveToEnd(), pattern(0, 5000, 1));
  assert.equal((await client.ending()).code, 0);
  assert.equal(await client.askEnd(), 0);
});
