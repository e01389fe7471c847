import assert from "node:assert/strict";
import { connect } from "../../../lib/client/mod.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { Backend, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { kcpClientStage, SOON } from "../../helpers/kcp_client_stage.ts";
import { kcpProxy } from "../../helpers/kcp_proxy.ts";
import { exchangeNumbers } from "../../helpers/numbers.js";
import { pattern } from "../../helpers/random.ts";
import { until } from "../../helpers/turns.ts";

const TOTAL = 40_000;
const FEC = { data: 10, parity: 3 };

const CASES = [
  { dialect: "goscon", version: 2, fec: undefined },
  { dialect: "plain", version: 2, fec: FEC },
  { dialect: "goscon", version: 1, fec: FEC },
  { dialect: "plain", version: 1, fec: undefined },
] as const;

for (const { dialect, version, fec } of CASES) {
  const how = `in version ${version} of ${dialect}, ${fec ? "with" : "without"} FEC`;
  Deno.test(`nothing is lost over KCP ${how}, though datagrams are, and the client's address changes`, async () => {
    await using stage = await kcpClientStage(TOTAL, { dialect, fec });
    const { url, backend, relay, seed } = stage;
    const connection = await connect(url, { dialect, version, fec, ...SOON });
    const { sent, received, resumes } = await exchangeNumbers(connection, (sent: number) => sent > TOTAL);
    assert.deepEqual(await backend.outcome, { sent: received, received: sent }, `GOSCON_SEED=${seed}`);
    assert(relay.rebound > 0, "its address did not change");
    assert(resumes > 0, "it did not resume");
    connection.close();
    await connection.closed;
  });
}

Deno.test("over KCP each direction ends by itself, and the end of both is the end", async () => {
  await using backend = new Backend();
  await using proxy = await kcpProxy({ hosts: [{ addr: backend.address }] });
  const connection = await connect(`kcp://${proxy.address}`, { allowHalfOpen: true });
  const far = await backend.accept();
  const writer = connection.writable.getWriter();
  await writer.write(pattern(0, 50_000));
  await writer.close();
  assertSameBytes(await readToEnd(far), pattern(0, 50_000));
  await writeAll(far, pattern(0, 50_000, 2));
  far.close();
  assertSameBytes(concat(await Array.fromAsync(connection.readable)), pattern(0, 50_000, 2));
  await connection.closed;
  assert.equal((await proxy.stats()).sessionsEnded.upstream_closed, 1);
});

Deno.test("over KCP the end of what a client of version 1 writes ends its session, once the server has all", async () => {
  await using backend = new Backend();
  await using proxy = await kcpProxy({ hosts: [{ addr: backend.address }] });
  const connection = await connect(`kcp://${proxy.address}`, { version: 1, silence: 0 });
  const far = await backend.accept();
  const writer = connection.writable.getWriter();
  await writer.write(pattern(0, 50_000));
  await writer.close();
  assert.deepEqual(await Array.fromAsync(connection.readable), []);
  await connection.closed;
  const got = new Uint8Array(50_000);
  for (let filled = 0; filled < got.length;) filled += await far.read(got.subarray(filled)) ?? assert.fail("it ended");
  assertSameBytes(got, pattern(0, 50_000));
});

Deno.test("a session over KCP that is closed is over at both ends at once", async () => {
  await using backend = new Backend();
  await using proxy = await kcpProxy({ hosts: [{ addr: backend.address }] });
  const connection = await connect(`kcp://${proxy.address}`);
  const far = await backend.accept();
  const writer = connection.writable.getWriter();
  await writer.write(pattern(0, 100));
  connection.close();
  await connection.closed;
  await assert.rejects(readToEnd(far), /reset/);
  await until(() => proxy.log.of("session ended").length === 1, () => "it goes on at the proxy");
  assert.equal(await proxy.size(), 0);
});
