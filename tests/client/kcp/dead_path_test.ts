import assert from "node:assert/strict";
import { connect } from "../../../lib/client/mod.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { END } from "../../../lib/scp/v2/mod.ts";
import { Backend } from "../../helpers/backend.ts";
import { kcpProxy } from "../../helpers/kcp_proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { UdpSocket } from "../../helpers/udp.ts";
import { UdpRelay } from "../../helpers/udp_relay.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }] };
/** No pings: it is KCP's own silence that tells. */
const QUIET = { silence: 400, pingInterval: 0, random: () => 0 };

for (const version of [1, 2] as const) {
  Deno.test(`a client of version ${version} that only reads resumes when its address has changed`, async () => {
    await using backend = new Backend();
    await using proxy = await kcpProxy({ hosts: [{ addr: backend.address }], scp: { v2: { ping_interval: 0 } } });
    await using relay = new UdpRelay(proxy.proxy.addresses[0]!);
    const connection = await connect(`kcp://${relay.address}`, { version, ...QUIET });
    const far = await backend.accept();
    const reader = connection.readable.getReader();
    let received = 0;
    for (let round = 1; round <= 3; round++) {
      relay.rebind();
      await writeAll(far, pattern(0, 1000));
      while (received < 1000 * round) received += (await reader.read()).value!.length;
    }
    assert.equal(received, 3000);
    assert.equal(proxy.log.of("session resumed").length, 3);
    connection.close();
    await connection.closed;
  });

  Deno.test(`a client of version ${version} learns that the server has begun anew, at the same port`, async () => {
    const before = await kcpProxy(ECHO);
    const [address] = before.proxy.addresses;
    await using relay = new UdpRelay(address!);
    const connection = await connect(`kcp://${relay.address}`, { version, ...QUIET });
    const writer = connection.writable.getWriter();
    await writer.write(pattern(0, 1000));
    relay.isDead = true; // it is killed, and says nothing
    await before[Symbol.asyncDispose]();
    await using _ = await kcpProxy(ECHO, { port: address!.port });
    relay.isDead = false;
    const expected = version === 1 ? { name: "ScpError", code: 404 } : { name: "SessionEndedError", code: END.away };
    await assert.rejects(connection.closed, expected);
  });

  Deno.test(`a session of version ${version} ends where the network stays away`, async () => {
    await using proxy = await kcpProxy(ECHO);
    await using relay = new UdpRelay(proxy.proxy.addresses[0]!);
    const connection = await connect(`kcp://${relay.address}`, {
      version,
      ...QUIET,
      handshakeTimeout: 2000,
      giveUpAfter: 100,
    });
    relay.isDead = true;
    await assert.rejects(connection.closed, /gave up after 100 ms: the handshake took longer than 2000 ms/);
  });
}

Deno.test("a server that does not answer over KCP is given up after the time of the handshake, or when that is wanted", async () => {
  using silent = new UdpSocket();
  const url = `kcp://${silent.address}`;
  await assert.rejects(connect(url, { handshakeTimeout: 50 }), /^Error: the handshake took longer than 50 ms$/);
  const abort = new AbortController();
  const opening = connect(url, { signal: abort.signal });
  await silent.receive();
  abort.abort(new Error("not wanted"));
  await assert.rejects(opening, /^Error: not wanted$/);
});

Deno.test("without the server's FEC there is no session, and with what is no FEC no attempt", async () => {
  await using proxy = await kcpProxy(ECHO, { fec: { data: 3, parity: 1 } });
  const url = `kcp://${proxy.address}`;
  const connection = await connect(url, { fec: { data: 3, parity: 1 } });
  connection.close();
  await connection.closed;
  for (
    const [fec, why] of [
      [{ data: 0, parity: 3 }, /there is no code of 0 data and 3 parity shards/],
      [{ data: 200, parity: 57 }, /there is no code of 200 data and 57 parity shards/],
      [{ data: 1.5, parity: 1 }, /expected whole numbers, not 1.5 data and 1 parity/],
    ] as const
  ) {
    await assert.rejects(connect(url, { fec }), why);
  }
});
