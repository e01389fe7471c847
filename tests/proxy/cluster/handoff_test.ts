import assert from "node:assert/strict";
import { writeAll } from "../../../lib/link/link.ts";
import { readPreface } from "../../../lib/proxy/cluster/handoff.ts";
import { SessionIds } from "../../../lib/proxy/session/session_ids.ts";
import { Backend, readToEnd } from "../../helpers/backend.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { ask, pair, record, tcp } from "../../helpers/raw_client.ts";
import { concat } from "../../helpers/bytes.ts";

const SECRET = "s".repeat(64);
const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

Deno.test("readPreface() takes a preface with the right secret, whole or byte by byte, and nothing else", async () => {
  await using backend = new Backend();
  const preface = {
    remote: { hostname: "192.0.2.1", port: 1 },
    local: { hostname: "::1", port: 2 },
    dialect: "plain" as const,
  };
  const right = record(SECRET + JSON.stringify(preface));
  for (const step of [1, right.length + 3]) {
    const [far, near] = await pair(backend);
    const read = readPreface(near as never, SECRET);
    const bytes = concat([right, Uint8Array.of(7, 8, 9)]);
    for (let at = 0; at < bytes.length; at += step) await writeAll(far, bytes.subarray(at, at + step));
    const { preface: got, rest } = await read;
    assert.deepEqual(got, preface);
    if (step > 1) assert.deepEqual([...rest], [7, 8, 9]);
    far.close();
  }
  for (const content of ["", SECRET.slice(1) + "x" + JSON.stringify(preface), "0\n782riWdFIwE=\n\n0", SECRET]) {
    const [far, near] = await pair(backend);
    await writeAll(far, record(content));
    await far.closeWrite();
    await assert.rejects(readPreface(near as never, SECRET));
    far.close();
  }
});

Deno.test("a resume whose owner cannot be reached is answered with 501: the client may come again", async () => {
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  gone.close();
  const own = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  own.close();
  const peers = [own.addr, gone.addr].map(({ hostname, port }) => ({ hostname, port }));
  await using proxy = TestProxy.start(ECHO, { cluster: { index: 0, peers, secret: SECRET } });
  const id = new SessionIds(1n, { owner: 1, bits: 2 }).next();
  const { link, answer } = await ask(proxy.address, `${id}\n1\n0\nAAAAAAAAAAA=`);
  link.close();
  assert.equal(answer, "0\n501");
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /peer that has the session cannot be reached/);
  // Of an owner that there is not, and of this one: there is no such session.
  for (const owner of [0, 3]) {
    const stranger = new SessionIds(1n, { owner, bits: 2 }).next();
    const asked = await ask(proxy.address, `${stranger}\n1\n0\nAAAAAAAAAAA=`);
    asked.link.close();
    assert.equal(asked.answer, "0\n404");
  }
  // Where peers come, others are not let in.
  const intruder = await tcp(`127.0.0.1:${own.addr.port}`);
  await writeAll(intruder, record("0\n782riWdFIwE=\n\n0"));
  assert.equal((await readToEnd(intruder)).length, 0);
  intruder.close();
});
