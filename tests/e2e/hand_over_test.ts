import assert from "node:assert/strict";
import { readExactly } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { Goscon } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { ask, RawClient } from "../helpers/raw_client.ts";

/** How many files and sockets a process has open. */
const descriptorsOf = (pid: number): number => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;

Deno.test("what a session's thread closes is closed, whichever thread has the connection: no descriptor is left", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using goscon = await Goscon.start(
    `listen: [{tcp: "127.0.0.1:0"}]\nhosts: [{addr: "builtin:echo"}]\nshutdown_timeout: 10ms\nworkers: 3\n`,
  );
  const address = goscon.addresses[0]!;
  using client = await RawClient.open(address);
  await client.send(pattern(0, 100));
  assertSameBytes(await client.receive(100), pattern(0, 100));
  const before = descriptorsOf(goscon.pid);
  const silent = [];
  for (let round = 0; round < 40; round++) {
    silent.push(client.link);
    await client.resume();
    const refused = await ask(address, `${client.id}\n1\n0\nAAAAAAAAAAA=`);
    assert.equal(refused.answer, "0\n401");
    silent.push(refused.link);
  }
  // None of them is closed by this end.
  for (const link of silent) assert.equal((await readExactly(link, 1)).length, 0);
  // The last connection may have come to another thread: two more then.
  while (descriptorsOf(goscon.pid) > before + 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await client.send(pattern(1, 100));
  assertSameBytes(await client.receive(100), pattern(1, 100));
  for (const link of silent) link.close();
});
