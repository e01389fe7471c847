import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import { Backend, readExactly, readToEnd } from "../helpers/backend.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { pattern } from "../helpers/random.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { RawClient, tcp } from "../helpers/raw_client.ts";

Deno.test("stop() ends the backend's input, and gives the client what the backend sent and still sends", async () => {
  await using backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "30s" });
  using client = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await client.send(pattern(0, 1000, 1));
  assertSameBytes(await readExactly(far, 1000), pattern(0, 1000, 1));
  await writeAll(far, pattern(0, 100_000, 2));
  const fed = readToEnd(far).then(async (bytes) => {
    // A backend that has something more to say when it is told that no more input comes.
    await writeAll(far, pattern(100_000, 1000, 2));
    far.close();
    return bytes;
  });
  const stopped = proxy.stop();
  assertSameBytes(await client.receiveToEnd(), pattern(0, 101_000, 2));
  assert.equal((await fed).length, 0);
  client.link.close();
  await stopped;
  assert.equal(await proxy.size(), 0);
});

Deno.test("stop() ends the sessions of clients that are away, and connections in their handshake, at once", async () => {
  const proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "30s" });
  const silent = await tcp(proxy.address);
  using client = await RawClient.open(proxy.address);
  client.link.close();
  await proxy.log.nth("session lost");
  await proxy.stop();
  assert.equal(await silent.read(new Uint8Array(1)), null);
  silent.close();
  assert.equal((await proxy.log.nth("session ended")).reason, "shutdown");
});

Deno.test("stop() refuses new connections", async () => {
  const proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }] });
  const { address } = proxy;
  await proxy.stop();
  await assert.rejects(tcp(address), /refused/);
});

Deno.test("stop() cuts what has not ended when shutdown_timeout is over", async () => {
  await using backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "50ms" });
  using client = await RawClient.open(proxy.address);
  await backend.accept();
  await proxy.log.nth("session new");
  await proxy.stop();
  assert.equal((await proxy.log.nth("session ended")).reason, "shutdown_timeout is over");
  await client.receiveToEnd();
});

Deno.test("a port can be had again at once", async () => {
  const hosts = [{ addr: "builtin:echo" }];
  const first = TestProxy.start({ hosts, shutdown_timeout: "30s" });
  const { address } = first;
  const client = await RawClient.open(address);
  const stopped = first.stop();
  await client.receiveToEnd();
  client.link.close();
  await stopped;
  await using second = TestProxy.start({ hosts, listen: [{ tcp: address }], shutdown_timeout: "10ms" });
  using next = await RawClient.open(second.address);
  await next.send(pattern(0, 10));
  assertSameBytes(await next.receive(10), pattern(0, 10));
});

Deno.test("an address in use is told in one sentence, and what was opened before is closed again", async () => {
  await using taken = TestProxy.start({ hosts: [{ addr: "builtin:echo" }] });
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const free = `127.0.0.1:${probe.addr.port}`;
  probe.close();
  assert.throws(
    () => TestProxy.start({ hosts: [{ addr: "builtin:echo" }], listen: [{ tcp: free }, { tcp: taken.address }] }),
    { message: `Cannot listen on ${taken.address}: the address is in use` },
  );
  Deno.listen({ hostname: "127.0.0.1", port: probe.addr.port }).close();
});

Deno.test("stop() before clients can connect leaves nobody waiting for that, and nothing that listens", async () => {
  const proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], listen: [{ ws: "127.0.0.1:0" }] });
  await proxy.stop();
  await assert.rejects(tcp(proxy.address), Deno.errors.ConnectionRefused);
});
