/** Peers that vanish without a word, and such as are only slow. */
import assert from "node:assert/strict";
import { Connection } from "../../lib/client/connection.ts";
import { writeAll } from "../../lib/link/link.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { BareWebSocket } from "../helpers/bare_web_socket.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { type Event, Goscon, OLD_RUNTIME } from "../helpers/goscon.ts";
import { HAS_NETWORKS, Network } from "../helpers/network.ts";
import { pattern } from "../helpers/random.ts";
import { openOver, resumeOver } from "../helpers/raw_client.ts";
import { SmallLink } from "../helpers/small_link.ts";
import { turn } from "../helpers/turns.ts";

const OPTIONS = { ignore: !HAS_NETWORKS };
const CLIENT = 0;
const BACKEND = 1;
const TIMEOUT = 1000;

/** A proxy in a network of its own, with a session whose ends are here, each at a cable of its own. */
async function session(keys: string, kind: "tcp" | "ws" = "tcp") {
  await using stack = new AsyncDisposableStack();
  const network = stack.use(new Network());
  const backend = stack.use(new Backend("0.0.0.0"));
  const config = `io: epoll
listen: [{${kind}: "${network.there(CLIENT)}:0"}]
hosts: [{addr: "${network.here(BACKEND)}:${backend.port}"}]
shutdown_timeout: 10ms
${keys}`;
  const goscon = stack.use(await Goscon.start(config, { by: network.inside }));
  const connect = async () => {
    const link = new SmallLink(goscon.addresses[0]!);
    return kind === "ws" ? await BareWebSocket.open(link) : link;
  };
  const client = stack.use(await openOver(await connect()));
  const far = await backend.accept();
  const all = stack.move();
  return {
    network,
    goscon,
    client,
    connect,
    far,
    event: (message: string) => goscon.event((event) => event.message === message),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const timeOf = (event: Event) => Date.parse(String(event["@timestamp"]));

Deno.test(
  "a client that vanishes with bytes on their way is lost after ack_timeout, and not before",
  OPTIONS,
  async () => {
    await using all = await session(`tcp_option: {ack_timeout: ${TIMEOUT}ms, keepalive: false}`);
    const { network, client, far, event } = all;
    await writeAll(far, pattern(0, 1000));
    assertSameBytes(await client.receive(1000), pattern(0, 1000));
    network.cut(CLIENT);
    const cut = Date.now();
    await writeAll(far, pattern(1000, 1000));
    const lost = await event("session lost");
    assert.equal(lost.reason, `nothing was acknowledged for ${TIMEOUT} ms (ack_timeout)`);
    assert(timeOf(lost) - cut >= TIMEOUT, `after ${timeOf(lost) - cut} ms`);
  },
);

Deno.test("so is one over a WebSocket, also when another thread carries it", {
  ...OPTIONS,
  ignore: OPTIONS.ignore || OLD_RUNTIME, // whose node:http cannot be given its connections
}, async () => {
  // Of four threads one has the session, and any the connection.
  await using all = await session(`tcp_option: {ack_timeout: ${TIMEOUT}ms, keepalive: false}\nworkers: 4`, "ws");
  const { network, client, connect, far, goscon } = all;
  (await resumeOver(client, await connect())).close();
  await writeAll(far, pattern(0, 1000));
  assertSameBytes(await client.receive(1000), pattern(0, 1000));
  network.cut(CLIENT);
  await writeAll(far, pattern(1000, 1000));
  await goscon.event(({ message, reason }) => message === "session lost" && /ack_timeout/.test(String(reason)));
});

Deno.test(
  "a client that takes nothing, for longer than ack_timeout between two probes of its window, is not lost",
  OPTIONS,
  async () => {
    await using all = await session(`tcp_option: {ack_timeout: ${TIMEOUT}ms}`);
    const { network, client, far, goscon } = all;
    const sent = writeAll(far, pattern(0, 1_000_000));
    while (network.silence(network.here(CLIENT)) < 4 * TIMEOUT) await turn();
    assertSameBytes(await client.receive(1_000_000), pattern(0, 1_000_000));
    await sent;
    assert.deepEqual(goscon.events.filter(({ message }) => message === "session lost"), []);
  },
);

Deno.test("a client that vanishes when it has taken nothing for long is lost, too", OPTIONS, async () => {
  await using all = await session(`tcp_option: {ack_timeout: ${TIMEOUT}ms, keepalive: false}`);
  const { network, far, event } = all;
  writeAll(far, pattern(0, 1_000_000)).catch(() => {}); // until the end
  while (network.silence(network.here(CLIENT)) < TIMEOUT) await turn();
  network.cut(CLIENT);
  assert.equal((await event("session lost")).reason, `nothing was acknowledged for ${TIMEOUT} ms (ack_timeout)`);
});

Deno.test(
  "a backend that vanishes with bytes on their way is given up after upstream_option.ack_timeout",
  OPTIONS,
  async () => {
    await using all = await session(`upstream_option: {ack_timeout: ${TIMEOUT}ms, keepalive: false}`);
    const { network, client, far, event } = all;
    await client.send(pattern(0, 1000));
    assertSameBytes(await readExactly(far, 1000), pattern(0, 1000));
    network.cut(BACKEND);
    const cut = Date.now();
    await client.send(pattern(1000, 1000));
    const closed = await event("upstream closed");
    assert.equal(closed.reason, `upstream failed: nothing was acknowledged for ${TIMEOUT} ms (ack_timeout)`);
    assert(timeOf(closed) - cut >= TIMEOUT, `after ${timeOf(closed) - cut} ms`);
  },
);

Deno.test(
  "an idle client of version 2 that vanishes is noticed by PING",
  OPTIONS,
  async () => {
    using network = new Network();
    await using backend = new Backend("0.0.0.0");
    const config = `io: epoll
listen: [{tcp: "${network.there(CLIENT)}:0"}]
hosts: [{addr: "${network.here(BACKEND)}:${backend.port}"}]
tcp_option: {keepalive: false}
scp: {v2: {ping_interval: ${TIMEOUT}ms, ping_timeout: 3s}}
`;
    await using goscon = await Goscon.start(config, { by: network.inside });
    const closed = Promise.withResolvers<unknown>();
    const dial = () => Promise.resolve(new SmallLink(goscon.addresses[0]!));
    const connection = await Connection.open({ dial, version: 2, onClosed: closed.resolve });
    const far = await backend.accept();
    await writeAll(far, pattern(0, 1000));
    assertSameBytes(await readExactly(connection, 1000), pattern(0, 1000));
    network.cut(CLIENT);
    const lost = await goscon.event(({ message }) => message === "session lost");
    assert.match(String(lost.reason), /\(ping_timeout\)/);
    connection.close();
    await closed.promise;
  },
);

Deno.test("an idle client that vanishes is noticed by the probes of keepalive", OPTIONS, async () => {
  await using all = await session("tcp_option: {keepalive_interval: 1s, keepalive_probes: 1, ack_timeout: 0}");
  const { network, event } = all;
  network.cut(CLIENT);
  assert.match(String((await event("session lost")).reason), /timed out/);
});
