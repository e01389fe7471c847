import assert from "node:assert/strict";
import { writeAll } from "../../../lib/link/link.ts";
import { AckedClient } from "../../helpers/acked_client.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { RawClient } from "../../helpers/raw_client.ts";

/** Two proxies, one behind the other, and a backend behind these; a client of version 2 of the first. */
class Chain implements AsyncDisposable {
  readonly backend = new Backend();
  readonly inner: TestProxy;
  readonly outer: TestProxy;

  constructor(innerVersion: 1 | 2 = 2, outerVersion: 1 | 2 = 2) {
    const stop = { shutdown_timeout: "10ms" };
    this.inner = TestProxy.start({ hosts: [{ addr: this.backend.address }], scp: { version: innerVersion }, ...stop });
    this.outer = TestProxy.start({
      hosts: [{ addr: this.inner.address }],
      scp: { version: outerVersion },
      upstream_option: { net: "scp" },
      ...stop,
    });
  }

  async [Symbol.asyncDispose]() {
    await this.outer[Symbol.asyncDispose]();
    await this.inner[Symbol.asyncDispose]();
    await this.backend[Symbol.asyncDispose]();
  }
}

Deno.test("net scp: a client's end of its direction travels to the backend, and the other direction goes on", async () => {
  await using chain = new Chain();
  using client = await AckedClient.open(chain.outer.address);
  const far = await chain.backend.accept();
  await client.send(pattern(0, 50_000));
  client.stream.finish();
  assertSameBytes(await readToEnd(far), pattern(0, 50_000));
  await writeAll(far, pattern(0, 5000, 1));
  await far.closeWrite();
  assertSameBytes(await client.receiveToEnd(), pattern(0, 5000, 1));
  assert.equal((await client.ending()).code, 0);
  assert.equal((await chain.inner.log.nth("session ended")).reason, "upstream closed");
});

Deno.test("net scp: a backend's end travels to the client, which can still send", async () => {
  await using chain = new Chain();
  using client = await AckedClient.open(chain.outer.address);
  const far = await chain.backend.accept();
  await writeAll(far, pattern(0, 5000, 1));
  await far.closeWrite();
  assertSameBytes(await client.receiveToEnd(), pattern(0, 5000, 1));
  await client.send(pattern(0, 50_000));
  client.stream.finish();
  assertSameBytes(await readToEnd(far), pattern(0, 50_000));
  assert.equal((await client.ending()).code, 0);
});

Deno.test("net scp: a client that gives up is a reset to the backend, and a backend that breaks off is no end to the client", async () => {
  await using chain = new Chain();
  using client = await AckedClient.open(chain.outer.address);
  const far = await chain.backend.accept();
  await client.send(pattern(0, 10));
  await readExactly(far, 10);
  client.stream.close(7, "enough");
  await assert.rejects(far.read(new Uint8Array(1)), /reset/i);

  using other = await AckedClient.open(chain.outer.address);
  (await chain.backend.accept()).reset();
  assert.equal((await other.ending()).code, 2);
});

for (const [inner, outer] of [[1, 2], [2, 1]] as const) {
  Deno.test(`net scp: a proxy of version ${outer} before one of version ${inner} speaks version 1 to it`, async () => {
    await using chain = new Chain(inner, outer);
    using client = outer === 2
      ? await AckedClient.open(chain.outer.address)
      : await RawClient.open(chain.outer.address);
    const far = await chain.backend.accept();
    await client.send(pattern(0, 1000));
    assertSameBytes(await readExactly(far, 1000), pattern(0, 1000));
    await writeAll(far, pattern(0, 1000, 1));
    assertSameBytes(await client.receive(1000), pattern(0, 1000, 1));
    assert.equal((await chain.inner.proxy.sessions({ limit: 1 })).sessions[0]?.version, 1);
  });
}
