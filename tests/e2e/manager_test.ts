import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import { readToEnd } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { type Event, Goscon } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { RawClient, tcp } from "../helpers/raw_client.ts";

const CONFIG = `listen: [{tcp: "127.0.0.1:0"}]\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]\n`;

const descriptorsOf = (pid: number): number => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;

/** Where the manager listens. */
async function managerOf(goscon: Goscon): Promise<string> {
  return new URL(String((await goscon.event((e) => e.message === "manager")).url)).host;
}

Deno.test("a manager that was out of descriptors comes back", { ignore: Deno.build.os === "windows" }, async () => {
  await using goscon = await Goscon.start(CONFIG, { descriptors: 80 });
  const address = await managerOf(goscon);
  const silent = await Promise.all(Array.from({ length: 80 }, () => tcp(goscon.addresses[0]!)));
  await goscon.event((e) => e.message === "accept failed");
  const waiting = await tcp(address);
  await goscon.event((e) => e.message === "accept failed" && e.local === address);
  for (const link of [...silent, waiting]) link.close();
  assert.equal((await goscon.manager("GET", "/healthz")).status, 200);
  goscon.kill("SIGTERM");
  assert.equal(await goscon.ended(), 0);
});

Deno.test("300 requests to the manager that never end leave descriptors for clients, and probes are answered", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using goscon = await Goscon.start(CONFIG);
  const address = await managerOf(goscon);
  assert.equal((await goscon.manager("GET", "/healthz")).status, 200);
  const before = descriptorsOf(goscon.pid);
  const halves = await Promise.all(Array.from({ length: 300 }, () => tcp(address)));
  for (const half of halves) {
    await writeAll(half, new TextEncoder().encode("GET / HTTP/1.1\r\nHo")).catch(() => {}); // it is closed already
  }
  // Those that came before it have been accepted when it is answered.
  assert.equal((await goscon.manager("GET", "/healthz")).status, 200);
  assert.match((await goscon.manager("GET", "/metrics")).text, /goscon_/);
  const more = descriptorsOf(goscon.pid) - before;
  assert(more <= 40, `${more} descriptors more`);
  using client = await RawClient.open(goscon.addresses[0]!);
  await client.send(pattern(0, 10));
  assertSameBytes(await client.receive(10), pattern(0, 10));
  assert.equal((await goscon.manager("GET", "/readyz")).status, 200);
  assert.match(String((await goscon.event(isRefusal)).reason), /^more than 32 connections$/);
  for (const half of halves) half.close();
});

const isRefusal = (e: Event): boolean => e.message === "manager connection refused";

Deno.test("who is not in manager_allow gets nothing of the manager, until a reload allows it", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using goscon = await Goscon.start(`${CONFIG}manager_allow: [192.0.2.1]\n`);
  const link = await tcp(await managerOf(goscon));
  assert.equal((await readToEnd(link).catch(() => new Uint8Array())).length, 0);
  link.close();
  const { reason, client } = await goscon.event(isRefusal);
  assert.equal(reason, "denied");
  assert.match(String(client), /^127\.0\.0\.1:\d+$/);
  await goscon.rewrite(`${CONFIG}manager_allow: [192.0.2.1, 127.0.0.0/8]\n`);
  goscon.kill("SIGHUP");
  await goscon.event((e) => e.message === "configuration reloaded");
  assert.equal((await goscon.manager("GET", "/healthz")).status, 200);
  await goscon.rewrite(`${CONFIG}manager_allow: [192.0.2.1]\n`);
  assert.equal((await goscon.manager("POST", "/reload")).status, 200);
  await assert.rejects(goscon.manager("GET", "/healthz"));
});

Deno.test("the manager tells how sockets are had, as the log does", async () => {
  for (const wanted of ["auto", "deno"]) {
    await using goscon = await Goscon.start(`${CONFIG}io: ${wanted}`);
    const { io: name, reason: why } = await goscon.event((e) => e.message === "sockets");
    if (wanted === "deno") assert.equal(name, "deno");
    const { io } = JSON.parse((await goscon.manager("GET", "/status")).text);
    assert.deepEqual(io, { name, ...(why !== undefined && { why }) });
    const { text } = await goscon.manager("GET", "/metrics");
    assert(text.split("\n").includes(`goscon_io_info{io="${name}",why="${why ?? ""}"} 1`), text);
  }
});

Deno.test("a client of version 2 is told to move by whichever thread has its session, and the metrics count it", async () => {
  await using goscon = await Goscon.start(`${CONFIG}workers: 2\n`);
  const clients = await Promise.all(Array.from({ length: 8 }, () => AckedClient.open(goscon.addresses[0]!)));
  for (const client of clients) {
    const url = "tcp://b.example:1248";
    const { status, text } = await goscon.manager("POST", `/sessions/${client.id}/move?url=${url}`);
    assert.deepEqual([status, JSON.parse(text)], [202, { moved: client.id, url }]);
    await client.until(() => client.moves.length === 1);
    assert.deepEqual(client.moves, [url]);
  }
  const { text } = await goscon.manager("GET", "/metrics");
  for (const line of ['goscon_sessions_by_version{version="2"} 8', "goscon_moves_total 8"]) {
    assert(text.split("\n").includes(line), text);
  }
  const { version } = await goscon.event((e) => e.message === "session new");
  assert.equal(version, 2);
  const told = await goscon.event((e) => e.message === "session told to move");
  assert.equal(told.url, "tcp://b.example:1248");
  for (const client of clients) client[Symbol.dispose]();
});
