import assert from "node:assert/strict";
import { createECDH } from "node:crypto";
import { parseConfig } from "../../../../lib/config.ts";
import { readRecord, writeAll } from "../../../../lib/link/link.ts";
import type { Gate } from "../../../../lib/proxy/seams.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, readExactly } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask, RawClient, record, tcp } from "../../../helpers/raw_client.ts";
import { turn } from "../../../helpers/turns.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };
/** The first lines of a request whose flag offers version 2. */
const OFFERING = "0\n782riWdFIwE=\n\n2";

/** A fifth line, with a key of P-256 unless told otherwise. */
function offer({ key = new Uint8Array(createECDH("prime256v1").generateKeys()), window = "262144" } = {}): string {
  return `2 ${btoa(String.fromCharCode(...key))} ${window}`;
}

/** The lines of the answer to a request for a new session. */
async function linesOf(proxy: TestProxy, content: string, address = proxy.address): Promise<string[]> {
  const { link, answer } = await ask(address, content);
  link.close();
  return answer.split("\n");
}

function reconfigure(proxy: TestProxy, keys: Record<string, unknown>): Promise<void> {
  return proxy.proxy.reconfigure(parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...keys }), "test.yaml").config);
}

async function echoes(client: AckedClient | RawClient): Promise<void> {
  const sent = pattern(client.session.sent, 1000);
  await client.send(sent.slice());
  assertSameBytes(await client.receive(1000), sent);
}

Deno.test("an offer is answered by the terms of the configuration, on listeners of both dialects", async () => {
  const v2 = { window: "8KiB", ping_interval: "7s", reuse_time: "2m" };
  await using proxy = TestProxy.start({ ...ECHO, scp: { v2 } });
  for (const address of [proxy.address, proxy.plainAddress]) {
    const [id, key, terms, ...rest] = await linesOf(proxy, `${OFFERING}\n${offer()}`, address);
    assert.match(`${id}\n${key}`, /^[1-9]\d*\n[A-Za-z0-9+/]{11}=$/);
    assert.match(terms!, /^2 [A-Za-z0-9+/]{87}= 8192 7000 120000$/);
    assert.deepEqual(rest, []);
  }
});

Deno.test("one server key is used for many sessions, whose keys differ all the same", async () => {
  await using proxy = TestProxy.start(ECHO);
  using one = await AckedClient.open(proxy.address);
  using other = await AckedClient.open(proxy.address);
  assert.deepEqual(one.terms.key, other.terms.key);
  assert.notDeepEqual(one.key, other.key);
});

Deno.test("what is not an offer makes a session of version 1: two lines, and what else is said is ignored", async () => {
  await using proxy = TestProxy.start(ECHO);
  const contents = ["0\n782riWdFIwE=\n", "0\n782riWdFIwE=\n\n0", OFFERING, `0\n782riWdFIwE=\n\n0\n${offer()}`];
  for (const content of [...contents, `0\n782riWdFIwE=\n\n5\n${offer()}`]) {
    assert.equal((await linesOf(proxy, content)).length, 2, content);
  }
});

Deno.test("an offer that does not parse is 400, and no session begins", async () => {
  await using proxy = TestProxy.start(ECHO);
  const offCurve = new Uint8Array(65).fill(1);
  offCurve[0] = 4;
  const compressed = new Uint8Array(33).fill(2);
  const [version, key, window] = offer().split(" ");
  const wrong = [
    "",
    `3 ${key} ${window}`,
    `02 ${key} ${window}`,
    `2  ${key} ${window}`,
    `2 ${key}`,
    `2 ${key} 4095`,
    `2 ${key} 16777217`,
    `2 ${key} 04096`,
    `2 ${key} -1`,
    `2 ${key} 1e5`,
    `2 ${key!.slice(0, -1)} ${window}`,
    `2 ${key!.replace(/=$/, "")} ${window}`,
    offer({ key: offCurve }),
    offer({ key: compressed }),
    offer({ key: new Uint8Array(65) }),
  ];
  for (const line of wrong) assert.deepEqual(await linesOf(proxy, `${OFFERING}\n${line}`), ["0", "400"], line);
  for (const line of [`${version} ${key} 4096`, `2 ${key} 16777216`, `2 ${key} 4096 more\nlines`]) {
    assert.equal((await linesOf(proxy, `${OFFERING}\n${line}`)).length, 3, line);
  }
  assert.equal((await proxy.stats()).sessionsBegun, 3);
  assert.equal((await proxy.gauges()).handshakes, 0);
});

Deno.test("scp.version 1 takes no offer: the answer has two lines, also to a fifth line that does not parse", async () => {
  await using proxy = TestProxy.start({ ...ECHO, scp: { version: 1 } });
  assert.equal((await linesOf(proxy, `${OFFERING}\n${offer()}`)).length, 2);
  assert.equal((await linesOf(proxy, `${OFFERING}\n3 x y`)).length, 2);
});

Deno.test("scp.version is that of new sessions: those of before live on as they are, over a reload from 2 to 1 and back", async () => {
  await using proxy = TestProxy.start(ECHO);
  using second = await AckedClient.open(proxy.address);
  using first = await RawClient.open(proxy.address);
  const versions = async () => (await proxy.proxy.sessions({ limit: 10 })).sessions.map(({ version }) => version);
  for (const version of [1, 2, 1]) {
    await reconfigure(proxy, { ...ECHO, scp: { version } });
    for (const client of [second, first]) {
      await echoes(client);
      await client.resume();
      await echoes(client);
    }
    assert.equal((await linesOf(proxy, `${OFFERING}\n${offer()}`)).length, version + 1);
  }
  assert.deepEqual((await versions()).slice(0, 2), [2, 1]);
});

Deno.test("what a session was told holds for it after a reload: its window, and reuse_time", async () => {
  await using backend = new Backend();
  const keys = { hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" };
  await using proxy = TestProxy.start({ ...keys, scp: { v2: { reuse_time: "1h" } } });
  using client = await AckedClient.open(proxy.address);
  await backend.accept();
  await reconfigure(proxy, { ...keys, scp: { v2: { reuse_time: "1ms", window: "4KiB" } } });
  client.stream.detach("away");
  await proxy.log.nth("session lost");
  for (let i = 0; i < 20; i++) await turn();
  await client.resume();
  assert.deepEqual(client.terms, { ...client.terms, window: 262_144, reuse: 3_600_000 });
});

Deno.test("clients of version 1 are served as ever on the same listener, beside those of version 2", async () => {
  await using proxy = TestProxy.start(ECHO);
  using second = await AckedClient.open(proxy.address);
  using first = await RawClient.open(proxy.address);
  await Promise.all([echoes(first), echoes(second)]);
  await Promise.all([first.resume(), second.resume()]);
  await Promise.all([echoes(first), echoes(second)]);
  // Its own line 4 decides, and a fifth is ignored.
  const { link, answer } = await ask(proxy.address, `${first.resumeContent()}\n2 x y`);
  link.close();
  assert.equal(answer, "2000\n200");
});

Deno.test("the flag's bit of version 2 is the connection's with the client: a server behind the proxy is told only what the proxy offers", async () => {
  await using backend = new Backend();
  const keys = { hosts: [{ addr: backend.address }], upstream_option: { net: "scp" }, shutdown_timeout: "10ms" };
  await using proxy = TestProxy.start(keys);
  using client = await AckedClient.open(proxy.address, { target: "game", flag: 4 });
  const offered = (await readRecord(await backend.accept()))!.content.split("\n");
  assert.deepEqual([offered[0], offered[2], Number(offered[3]) & 6, offered.length], ["0", "game", 6, 5]);
  assert.match(offered[4]!, / 262144$/);
  client.stream.abort();
  await reconfigure(proxy, { ...keys, scp: { version: 1 } });
  using _former = await RawClient.open(proxy.address, { target: "game", flag: 6 });
  const asked = (await readRecord(await backend.accept()))!.content.split("\n");
  assert.deepEqual([asked[0], asked[2], Number(asked[3]) & 6, asked.length], ["0", "game", 4, 4]);
});

Deno.test("draining refuses new sessions of version 2 by 501, and lets those there are resume", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await AckedClient.open(proxy.address);
  await proxy.proxy.drain();
  assert.deepEqual(await linesOf(proxy, `${OFFERING}\n${offer()}`), ["0", "501"]);
  await client.resume();
  await echoes(client);
});

/** A request of version 1, and one of version 2. */
for (const content of ["0\n782riWdFIwE=\n\n0", `${OFFERING}\n${offer()}`]) {
  const version = content.split("\n").length > 4 ? 2 : 1;
  for (const how of ["stop()", "handshake_timeout"]) {
    Deno.test(`a connection that ${how} closes while its session is being admitted begins none (version ${version})`, async () => {
      const [asked, admitted] = [Promise.withResolvers<void>(), Promise.withResolvers<undefined>()];
      let ended = 0;
      const gate: Gate = {
        begin: () => {
          asked.resolve();
          return admitted.promise;
        },
        take: () => {},
        end: () => ended++,
        refusesResume: () => undefined,
        resumeFailed: () => {},
      };
      const keys = { ...ECHO, shutdown_timeout: "1h", limits: { sessions_per_ip: 10 } };
      const timeout = how === "stop()" ? "1h" : "50ms";
      const proxy = TestProxy.start({ ...keys, scp: { handshake_timeout: timeout } }, { gate });
      const link = await tcp(proxy.address);
      await writeAll(link, record(content));
      await asked.promise;
      const stopped = how === "stop()" ? proxy.stop() : undefined;
      assert.equal((await readExactly(link, 1)).length, 0, "it is closed");
      admitted.resolve(undefined);
      await proxy.log.nth("handshake failed");
      assert.deepEqual([(await proxy.stats()).sessionsBegun, await proxy.size(), ended], [0, 0, 1]);
      await (stopped ?? proxy.stop());
      link.close();
    });
  }
}
