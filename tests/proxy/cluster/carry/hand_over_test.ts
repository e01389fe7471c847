import assert from "node:assert/strict";
import { formatEndpoint, type Link, writeAll } from "../../../../lib/link/link.ts";
import { layoutOf } from "../../../../lib/proxy/owner.ts";
import { SessionIds } from "../../../../lib/proxy/session/session_ids.ts";
import { Backend, readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { ownerAt, Peers, PREFACE, SECRET } from "../../../helpers/peers.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask, pair, record, tcp } from "../../../helpers/raw_client.ts";
import { stalled } from "../../../helpers/turns.ts";

/** As of a cluster, where a thread may not be there. */
const LAYOUT = layoutOf({ slots: 1, threads: 4 });
const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

Deno.test("HandOver carries what is more than a socket to its owner, with who it is, what was read of it, and every byte both ways", async () => {
  await using backend = new Backend();
  const peers = new Peers(2);
  const taken = peers.take(1);
  const [client, near] = await pair(backend);
  await peers.all[0]!.carry(near, ownerAt(1), PREFACE, pattern(0, 100));
  const { link, preface, rest } = await taken;
  assert.deepEqual(preface, PREFACE);
  await Promise.all([writeAll(client, pattern(1, 50_000)), writeAll(link, pattern(2, 50_000))]);
  assertSameBytes(rest, pattern(0, 100).subarray(0, rest.length));
  assertSameBytes(await readExactly(link, 100 - rest.length), pattern(0, 100).subarray(rest.length));
  assertSameBytes(await readExactly(link, 50_000), pattern(1, 50_000));
  assertSameBytes(await readExactly(client, 50_000), pattern(2, 50_000));
  client.close();
  assert.equal(await link.read(new Uint8Array(1)), null);
  link.close();
  await peers.stop();
});

Deno.test("HandOver closes a connection that it carries when its owner has closed it, also while the client takes nothing", async () => {
  await using backend = new Backend();
  const peers = new Peers(2);
  const taken = peers.take(1);
  const [client, near] = await pair(backend);
  let closed = 0;
  const closing = Promise.withResolvers<void>();
  const counted: Link = {
    read: (buffer) => near.read(buffer),
    write: (bytes) => near.write(bytes),
    closeWrite: () => near.closeWrite(),
    close: () => {
      closed++;
      near.close();
      closing.resolve();
    },
  };
  await peers.all[0]!.carry(
    Object.assign(counted, { remote: near.remote, local: near.local }),
    ownerAt(1),
    PREFACE,
    new Uint8Array(0),
  );
  const { link } = await taken;
  let written = 0;
  const filling = (async () => {
    for (const bytes = new Uint8Array(2 ** 16);;) written += await link.write(bytes);
  })().catch(() => {});
  await stalled(() => written);
  assert.equal(closed, 0);
  link.close();
  await closing.promise;
  await filling;
  client.close();
  await peers.stop();
});

Deno.test("a resume whose owner cannot be reached is answered with 501: the client may come again", async () => {
  const peers = new Peers(2);
  const [own] = peers.all;
  await peers.stopOne(1);
  await using proxy = TestProxy.start(ECHO, {
    cluster: { layout: LAYOUT, self: ownerAt(0), owns: ({ thread }) => thread === 0, carry: own!.carry },
  });
  peers.accept(0, (link, read) => proxy.proxy.takeOver(link, read));
  const id = new SessionIds(1n, ownerAt(1), LAYOUT).next();
  const { link, answer } = await ask(proxy.address, `${id}\n1\n0\nAAAAAAAAAAA=`);
  link.close();
  assert.equal(answer, "0\n501");
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /peer that has the session cannot be reached/);
  // Of an owner that there is not, and of this one: there is no such session.
  for (const owner of [0, 3]) {
    const stranger = new SessionIds(1n, ownerAt(owner), LAYOUT).next();
    const asked = await ask(proxy.address, `${stranger}\n1\n0\nAAAAAAAAAAA=`);
    asked.link.close();
    assert.equal(asked.answer, "0\n404");
  }
  // Where peers come, others are not let in.
  for (const content of ["", "0\n782riWdFIwE=\n\n0", SECRET, SECRET.slice(1) + "x" + JSON.stringify(PREFACE)]) {
    const intruder = await tcp(formatEndpoint(peers.addresses[0]!));
    await writeAll(intruder, record(content));
    assert.equal((await readToEnd(intruder)).length, 0);
    intruder.close();
  }
  await peers.stop();
});
