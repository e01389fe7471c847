import assert from "node:assert/strict";
import { Line } from "../../../lib/tools/demo/line.ts";
import { formatEndpoint, writeAll } from "../../../lib/link/link.ts";
import { Backend, echo, readExactly, readToEnd } from "../../helpers/backend.ts";
import { tcp } from "../../helpers/raw_client.ts";

const HELLO = new TextEncoder().encode("hello");

Deno.test("a line carries both ways, until it is cut, and again when the outage is over", async () => {
  await using backend = new Backend().serve(echo);
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: backend.port });
  const open = async () => await tcp(formatEndpoint(line.address));
  const before = await open();
  await writeAll(before, HELLO);
  assert.deepEqual(await readExactly(before, 5), HELLO);
  line.cut(2 ** 30);
  assert.equal((await readToEnd(before)).length, 0);
  const meanwhile = await open();
  assert.equal((await readToEnd(meanwhile).catch(() => [])).length, 0);
  line.cut(0);
  const after = await open();
  await writeAll(after, HELLO);
  assert.deepEqual(await readExactly(after, 5), HELLO);
  for (const link of [before, meanwhile, after]) link.close();
  await line.close();
  await assert.rejects(open());
});

Deno.test("a line to nothing closes what connects", async () => {
  const backend = new Backend();
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: backend.port });
  await backend[Symbol.asyncDispose]();
  const link = await tcp(formatEndpoint(line.address));
  assert.equal((await readToEnd(link).catch(() => [])).length, 0);
  link.close();
  await line.close();
});

Deno.test("close() closes what a line carries, and then all is closed", async () => {
  await using backend = new Backend();
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: backend.port });
  const [near, far] = await Promise.all([tcp(formatEndpoint(line.address)), backend.accept()]);
  await line.close();
  for (const link of [near, far]) {
    assert.equal((await readToEnd(link)).length, 0);
    link.close();
  }
});
