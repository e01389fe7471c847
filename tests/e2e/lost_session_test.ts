import assert from "node:assert/strict";
import { Connection } from "../../lib/client/connection.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import { joinLinks } from "../../lib/link/relay.ts";
import { END } from "../../lib/scp/v2/mod.ts";
import { startBridge } from "../../lib/tools/bridge/bridge.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { Goscon } from "../helpers/goscon.ts";
import { TestLog } from "../helpers/proxy.ts";
import { pattern } from "../helpers/random.ts";
import { tcp } from "../helpers/raw_client.ts";

const configOf = (backend: Backend) =>
  `listen: [{tcp: "127.0.0.1:0"}]\nmanager: 127.0.0.1:0\nhosts: [{addr: "${backend.address}"}]\nshutdown_timeout: 10ms`;

/** A backend that never stops sending. */
function endless(): Backend {
  return new Backend().serve(async (link) => {
    for (let at = 0;; at += 10_000) await writeAll(link, pattern(at, 10_000));
  });
}

/** Takes connections for another address, which may change. */
function balancer(to: { address: string }): Backend {
  return new Backend().serve(async (link) => {
    const far = await tcp(to.address).catch(() => undefined);
    if (far) await joinLinks(link, far);
  });
}

async function readOn(link: Pick<Link, "read">): Promise<void> {
  while (await link.read(new Uint8Array(2 ** 16)) !== null);
}

for (const [version, code] of [[1, 404], [2, END.away]] as const) {
  Deno.test(`a session whose proxy is killed in mid-transfer has no end in order for the library: version ${version}`, async () => {
    await using backend = endless();
    await using one = await Goscon.start(configOf(backend));
    await using other = await Goscon.start(configOf(backend));
    const to = { address: one.addresses[0]! };
    await using front = balancer(to);
    const closed = Promise.withResolvers<unknown>();
    const connection = await Connection.open({ dial: () => tcp(front.address), version, onClosed: closed.resolve });
    await readExactly(connection, 80_000);
    to.address = other.addresses[0]!;
    one.kill("SIGKILL");
    await assert.rejects(readOn(connection), { code });
    assert.equal((await closed.promise as { code?: number }).code, code);
  });

  Deno.test(`a session that the manager ends in mid-transfer has no end in order: version ${version}`, async () => {
    await using backend = endless();
    await using goscon = await Goscon.start(configOf(backend));
    const connection = await Connection.open({ dial: () => tcp(goscon.addresses[0]!), version });
    await readExactly(connection, 80_000);
    assert.equal((await goscon.manager("DELETE", `/sessions/${connection.id}`)).status, 200);
    await assert.rejects(readOn(connection), { code: version === 1 ? 404 : END.operator });
  });
}

Deno.test("a session whose proxy is killed in mid-transfer has no end in order over a bridge", async () => {
  await using backend = endless();
  await using one = await Goscon.start(configOf(backend));
  await using other = await Goscon.start(configOf(backend));
  const to = { address: one.addresses[0]! };
  await using front = balancer(to);
  const log = new TestLog();
  const bridge = startBridge({ listen: { hostname: "127.0.0.1", port: 0 }, connect: front.address, log });
  const near = await tcp(`127.0.0.1:${bridge.address.port}`);
  await readExactly(near, 80_000);
  to.address = other.addresses[0]!;
  one.kill("SIGKILL");
  await assert.rejects(readOn(near), Deno.errors.ConnectionReset);
  assert.match(String((await log.nth("bridge session ended")).reason), /^the session was lost: /);
  near.close();
  await bridge.stop();
});

Deno.test("goscon bridge resets the connection of a session that is lost, and carries the next", async () => {
  await using backend = endless();
  await using goscon = await Goscon.start(configOf(backend));
  const args = ["--listen", "127.0.0.1:0", "--connect", goscon.addresses[0]!, "--log-format", "json"];
  await using bridge = Goscon.spawn(["bridge", ...args]);
  const { address } = await bridge.event((e) => e.message === "bridge listening");
  const near = await tcp(String(address));
  await readExactly(near, 80_000);
  const { id } = await bridge.event((e) => e.message === "bridge session begun");
  assert.equal((await goscon.manager("DELETE", `/sessions/${id}`)).status, 200);
  await assert.rejects(readOn(near), Deno.errors.ConnectionReset);
  near.close();
  const next = await tcp(String(address));
  await readExactly(next, 80_000);
  next.close();
  bridge.kill("SIGTERM");
  assert.equal(await bridge.ended(), 0);
});
