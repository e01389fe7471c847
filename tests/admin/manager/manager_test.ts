import assert from "node:assert/strict";
import { formatEndpoint, writeAll } from "../../../lib/link/link.ts";
import { AckedClient } from "../../helpers/acked_client.ts";
import { readToEnd } from "../../helpers/backend.ts";
import { ECHO, TestManager } from "../../helpers/manager.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { RawClient, tcp } from "../../helpers/raw_client.ts";
import { settled } from "../../helpers/turns.ts";

Deno.test("GET /sessions lists sessions, a filter and a state choose among them, and a limit cuts the list", async () => {
  await using manager = new TestManager();
  const { address, log } = manager.proxy;
  using first = await RawClient.open(address, { target: "one" });
  using second = await RawClient.open(address, { target: "two" });
  await log.nth("session new", 2);
  const { body } = await manager.json("GET", "/sessions");
  assert.equal(body.total, 2);
  const session = body.sessions.find(({ id }: { id: number }) => id === first.id);
  const { state, upstream, target, dialect, received, sent, resumes } = session;
  assert.deepEqual([state, upstream, target, dialect], ["attached", "builtin:echo", "one", "goscon"]);
  assert.deepEqual([received, sent, resumes], [0, 0, 0]);
  assert.match(session.client, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual((await manager.json("GET", "/sessions?limit=0")).body, { total: 2, sessions: [] });
  assert.equal((await manager.json("GET", "/sessions?limit=1")).body.sessions.length, 1);
  const ids = async (query: string) =>
    (await manager.json("GET", `/sessions?${query}`)).body.sessions.map(({ id }: { id: number }) => id);
  assert.deepEqual(await ids("filter=two"), [second.id]);
  assert.deepEqual(await ids(`filter=${second.id}`), [second.id]);
  assert.deepEqual(await ids("filter=nobody"), []);
  first.link.close();
  await log.nth("session lost");
  assert.deepEqual(await ids("state=detached"), [first.id]);
  assert.deepEqual(await ids("state=attached"), [second.id]);
  for (const query of ["limit=-1", "limit=10001", "limit=x", "state=dead"]) {
    const { status, body } = await manager.json("GET", `/sessions?${query}`);
    assert.equal(status, 400, query);
    assert.match(body.error, /expected/);
  }
});

Deno.test("GET and DELETE /sessions/ID show a session, and end it", async () => {
  await using manager = new TestManager();
  using client = await RawClient.open(manager.proxy.address);
  await manager.proxy.log.nth("session new");
  const path = `/sessions/${client.id}`;
  assert.equal((await manager.json("GET", path)).body.id, client.id);
  assert.deepEqual(await manager.json("DELETE", path), { status: 200, body: { ended: client.id } });
  assert.equal((await client.receiveToEnd()).length, 0);
  assert.match(String((await manager.proxy.log.nth("session ended")).reason), /manager/);
  assert.equal((await manager.json("GET", path)).status, 404);
  assert.equal((await manager.json("DELETE", path)).status, 404);
});

Deno.test("GET /sessions tells versions, and chooses by them", async () => {
  await using manager = new TestManager();
  using old = await RawClient.open(manager.proxy.address);
  using client = await AckedClient.open(manager.proxy.address);
  for (const [version, { id }] of [[1, old], [2, client]] as const) {
    const { body } = await manager.json("GET", `/sessions?version=${version}`);
    assert.deepEqual([body.total, body.sessions[0].id, body.sessions[0].version], [1, id, version]);
  }
  assert.equal((await manager.json("GET", "/sessions")).body.total, 2);
  const { status, body } = await manager.json("GET", "/sessions?version=3");
  assert.deepEqual([status, body], [400, { error: "version: expected 1 or 2" }]);
});

Deno.test("POST /sessions/ID/move tells the client where to go on, or that it is to come back where it is", async () => {
  await using manager = new TestManager();
  using client = await AckedClient.open(manager.proxy.address);
  const path = `/sessions/${client.id}/move`;
  const url = `wss://b.example/scp?${"x".repeat(235)}`;
  assert.equal(url.length, 255);
  const urls = ["", url, "tls://[2001:db8::1]:1250"];
  for (const [i, sent] of urls.entries()) {
    const query = sent ? `?${new URLSearchParams({ url: sent })}` : "";
    assert.deepEqual(await manager.json("POST", path + query), { status: 202, body: { moved: client.id, url: sent } });
    await client.until(() => client.moves.length > i);
  }
  assert.deepEqual(client.moves, urls);
});

Deno.test("POST /sessions/ID/move says why a client cannot be told", async () => {
  await using manager = new TestManager();
  using old = await RawClient.open(manager.proxy.address);
  using client = await AckedClient.open(manager.proxy.address);
  const move = async (id: number, url = "") => {
    const { status, body } = await manager.json("POST", `/sessions/${id}/move?${new URLSearchParams({ url })}`);
    return `${status} ${body.error}`;
  };
  for (const url of ["b.example:1248", "tcp://b.example", "http://b.example:1", "tcp://:1", "tls://a b:1", "ws:x"]) {
    assert.match(await move(client.id, url), /^400 url: expected tcp:\/\/HOST:PORT/, url);
  }
  const long = `wss://b.example/${"ü".repeat(120)}`;
  assert.equal(await move(client.id, long), "400 url: it has 256 bytes, and there is room for 255");
  const init = { body: "url=tcp://b.example:1" };
  const { status, text } = await manager.ask("POST", `/sessions/${client.id}/move`, init);
  assert.deepEqual([status, /query, \?url=/.test(text)], [400, true]);
  assert.match(await move(old.id), /^409 session \d+ is of version 1/);
  client.stream.detach("cut");
  await manager.proxy.log.nth("session lost");
  assert.match(await move(client.id), /^409 the client of session \d+ is away/);
  assert.deepEqual(client.moves, []);
  await manager.json("DELETE", `/sessions/${client.id}`);
  assert.equal(await move(client.id), `404 there is no session ${client.id}`);
  const { headers } = await manager.ask("GET", `/sessions/${old.id}/move`);
  assert.equal(headers.get("allow"), "POST");
});

Deno.test("POST /sessions/ID/move wants what the manager wants of every request", async () => {
  await using manager = new TestManager({ manager: "127.0.0.1:7", manager_token: "s3cret" });
  using client = await AckedClient.open(manager.proxy.address);
  const path = `/sessions/${client.id}/move`;
  assert.equal((await manager.ask("POST", path)).status, 401);
  const authorization = "Bearer s3cret";
  const foreign = { headers: { authorization, "sec-fetch-site": "cross-site" } };
  assert.equal((await manager.ask("POST", path, foreign)).status, 403);
  assert.equal((await manager.ask("POST", path, { headers: { authorization } })).status, 202);
});

Deno.test("POST /reload goes by the file as it is then, and says what changed", async () => {
  await using manager = new TestManager();
  manager.file = JSON.stringify({
    ...TestProxy.LISTEN,
    ...ECHO,
    hosts: [{ name: "other", addr: "builtin:echo" }],
    scp: { reuse_time: "7s" },
    manager: "127.0.0.1:7",
    manager_token: "s3cret",
  });
  const { status, body } = await manager.json("POST", "/reload");
  assert.equal(status, 200);
  assert.equal(body.ok, true);
  assert.deepEqual(
    body.changed.toSorted(),
    [
      'hosts[0].name: "one" -> "other"',
      'manager: "" -> "127.0.0.1:7"',
      "manager_token: it has changed",
      'scp.reuse_time: "30s" -> "7s"',
    ],
  );
  assert.deepEqual(body.needsRestart, ['manager: "" -> "127.0.0.1:7"']);
  const bearer = { headers: { authorization: "Bearer s3cret" } };
  assert.equal((await manager.ask("GET", "/upstreams")).status, 401, "the new token holds at once");
  assert.match((await manager.ask("GET", "/upstreams", bearer)).text, /"other"/);
  for (const probe of ["/healthz", "/readyz"]) {
    const { status } = await manager.ask("GET", probe, { headers: { "sec-fetch-site": "cross-site" } });
    assert.equal(status, 200, "a probe has neither a token nor a name");
  }
  const config = await manager.ask("GET", "/config", bearer);
  assert.match(config.text, /reuse_time: 7s/);
  assert.doesNotMatch(config.text, /s3cret/);
});

Deno.test("GET /config shows no secret of a cluster, nor the password of its Redis", async () => {
  const [secrets, listen] = [["first-of-the-secrets", "second-of-the-secrets"], "127.0.0.1:1250"];
  const urls = [
    ["redis://:hunter2@redis.example:6379/1", "redis://:(hidden)@redis.example:6379/1"],
    ["rediss://goscon:hunter2@redis.example", "rediss://goscon:(hidden)@redis.example"],
    ["redis://hunter2@redis.example", "redis://(hidden)@redis.example"],
    ["redis://redis.example:6379", "redis://redis.example:6379"],
  ];
  for (const [url, shown] of urls) {
    await using manager = new TestManager({
      cluster: { name: "game", discovery: "redis", redis: { url }, listen, secrets },
    });
    const { text } = await manager.ask("GET", "/config");
    assert(text.includes(`url: ${shown}\n`), text);
    assert.match(text, /secrets:\n +- \(hidden\)\n +- \(hidden\)\n/);
    assert.doesNotMatch(text, /hunter2|-of-the-secrets/);
  }
});

Deno.test("a reload of a file with faults changes nothing, and tells all of them", async () => {
  await using manager = new TestManager();
  const before = (await manager.ask("GET", "/config")).text;
  manager.file = `hosts: [{addr: "builtin:echo", wait: 1}]\nscp: {reuse_time: soon}\n`;
  const { status, body } = await manager.json("POST", "/reload");
  assert.equal(status, 422);
  assert.equal(body.ok, false);
  assert.match(body.faults[0], /^test\.yaml:1:\d+: hosts\[0\]\.wait: unknown key/);
  assert.match(body.faults[1], /^test\.yaml:2:\d+: scp\.reuse_time: expected/);
  assert.equal((await manager.ask("GET", "/config")).text, before);
  assert.equal(manager.proxy.log.of("configuration not reloaded").length, 2);
  // As the Go program says it.
  assert.match((await manager.ask("GET", "/reload")).text, /^failed: test\.yaml:1:/);
  manager.file = JSON.stringify({ ...TestProxy.LISTEN, ...ECHO });
  assert.equal((await manager.ask("GET", "/reload")).text, "succeed");
});

Deno.test("a reload that wants an address that is in use changes nothing", async () => {
  await using manager = new TestManager();
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listen = [...TestProxy.LISTEN.listen, { tcp: `127.0.0.1:${taken.addr.port}` }];
  manager.file = JSON.stringify({ ...ECHO, listen, scp: { reuse_time: "7s" } });
  const { status, body } = await manager.json("POST", "/reload");
  assert.equal(status, 422);
  assert.match(body.faults[0], /^Cannot listen on 127\.0\.0\.1:\d+: the address is in use$/);
  assert.match((await manager.ask("GET", "/config")).text, /reuse_time: 30s/);
  taken.close();
  assert.equal((await manager.json("POST", "/reload")).status, 200);
});

Deno.test("GET /healthz and /readyz: 503 while draining, and when no upstream is up", async () => {
  await using manager = new TestManager();
  assert.deepEqual((await manager.ask("GET", "/healthz")).text, "ok\n");
  assert.equal((await manager.ask("GET", "/readyz")).status, 200);
  await manager.proxy.proxy.drain();
  const draining = await manager.ask("GET", "/readyz");
  assert.deepEqual([draining.status, draining.text], [503, "draining\n"]);
  assert.equal((await manager.ask("GET", "/healthz")).status, 200);
  await using down = new TestManager({ hosts: [{ addr: "builtin:echo", drain: true }] });
  const { status, text } = await down.ask("GET", "/readyz");
  assert.deepEqual([status, text], [503, "no upstream is up\n"]);
});

Deno.test("a probe is answered without any header, other requests want a name of this machine", async () => {
  await using manager = new TestManager();
  const statusOf = async (path: string) => {
    const link = await tcp(formatEndpoint(manager.address));
    await writeAll(link, new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n\r\n`));
    const answer = new TextDecoder().decode(await readToEnd(link));
    link.close();
    return answer.split(" ")[1];
  };
  assert.equal(await statusOf("/healthz"), "200");
  assert.equal(await statusOf("/readyz"), "200");
  assert.equal(await statusOf("/upstreams"), "403");
});

Deno.test("while another process takes over probes and a second upgrade are answered, and others when it is known whose they are", async () => {
  await using manager = new TestManager();
  for (const isReplaced of [false, true]) {
    const known = Promise.withResolvers<boolean>();
    manager.isReplaced = known.promise;
    const sessions = manager.ask("GET", "/sessions?limit=1&filter=a%20b", { redirect: "manual" });
    const reload = manager.ask("POST", "/reload", { redirect: "manual" });
    assert.equal((await manager.ask("GET", "/healthz")).text, "ok\n");
    assert.equal((await manager.ask("GET", "/readyz")).text, "ok\n");
    assert.equal((await manager.ask("POST", "/upgrade")).status, 409);
    assert.equal((await manager.ask("GET", "//elsewhere.example/")).status, 404);
    assert.equal(await settled(Promise.race([sessions, reload])), false);
    known.resolve(isReplaced);
    const answers = [await sessions, await reload];
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers.get("location")]),
      isReplaced ? [[307, "/sessions?limit=1&filter=a%20b"], [307, "/reload"]] : [[200, null], [200, null]],
    );
  }
});

Deno.test("POST /drain begins the drain, and says how many sessions there are", async () => {
  await using manager = new TestManager();
  using _client = await RawClient.open(manager.proxy.address);
  assert.deepEqual(await manager.json("POST", "/drain"), { status: 202, body: { draining: true, sessions: 1 } });
  assert.equal(manager.drains, 1);
});

Deno.test("GET /, /metrics, /config, /status and /upstreams answer with what they are", async () => {
  await using manager = new TestManager();
  const types: Record<string, RegExp> = {
    "/": /^text\/html/,
    "/metrics": /^text\/plain; version=0\.0\.4/,
    "/config": /^text\/vnd\.yaml/,
    "/status": /^application\/json/,
    "/upstreams": /^application\/json/,
  };
  for (const [path, type] of Object.entries(types)) {
    const { status, headers, text } = await manager.ask("GET", path);
    assert.equal(status, 200, path);
    assert.match(headers.get("content-type")!, type);
    assert(text.length > 50);
    assert.equal((await manager.ask("HEAD", path)).status, 200);
  }
  assert.match((await manager.ask("GET", "/")).headers.get("content-security-policy")!, /default-src 'none'/);
});

Deno.test("an unknown path is 404, and a method that is not for a path 405, with those that are", async () => {
  await using manager = new TestManager();
  assert.equal((await manager.json("GET", "/nothing")).status, 404);
  assert.equal((await manager.json("GET", "/sessions/x")).status, 404);
  const { status, headers } = await manager.ask("PUT", "/reload");
  assert.deepEqual([status, headers.get("allow")], [405, "GET, POST"]);
  assert.equal((await manager.ask("GET", "/drain")).status, 405);
});
