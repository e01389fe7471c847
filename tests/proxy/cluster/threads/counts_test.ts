import assert from "node:assert/strict";
import { parseConfig } from "../../../../lib/config.ts";
import { formatEndpoint } from "../../../../lib/link/link.ts";
import { newCounts, withCame } from "../../../../lib/proxy/cluster/threads/counts.ts";
import { startWorkers, type WorkerPool } from "../../../../lib/proxy/cluster/threads/worker_pool.ts";
import { deadAddress } from "../../../helpers/dead_address.ts";
import { movePlane } from "../../../helpers/moving.ts";
import { TestLog, TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask, RawClient } from "../../../helpers/raw_client.ts";

async function open(keys: Record<string, unknown>) {
  const fixed = { workers: 2, shutdown_timeout: "10ms", log: { level: "error" } };
  const { config } = parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...fixed, ...keys }), "f.yaml");
  const pool = await startWorkers(config, new TestLog());
  return { pool, address: formatEndpoint(pool.addresses[0]!), [Symbol.asyncDispose]: () => pool.stop() };
}

/** A session from its begin to its end. */
async function roundOf(pool: WorkerPool, address: string): Promise<void> {
  using client = await RawClient.open(address);
  await client.send(pattern(0, 100));
  await client.receive(100);
  await pool.endSession(client.id);
  await client.receiveToEnd();
}

const UNKNOWN = "42\n1\n0\nAAAAAAAAAAA=";

Deno.test("what a pool has counted is counted by the one that goes on in its place, and by the next", async () => {
  const dead = deadAddress();
  const keys = { hosts: [{ name: "", addr: dead }, { name: "", addr: "builtin:echo", backup: true }] };
  await using first = await open(keys);
  await using second = await open({ ...keys, workers: 3 });
  await using third = await open(keys);
  let rounds = 0;
  for (const [{ pool, address }, next] of [[first, second], [second, third], [third, undefined]] as const) {
    await roundOf(pool, address);
    rounds++;
    const { stats, upstreams } = await pool.snapshot();
    assert.equal(stats.sessionsBegun, rounds);
    assert.equal(stats.sessionsEnded.admin, rounds);
    assert.deepEqual([stats.bytesReceived, stats.bytesSent], [100 * rounds, 100 * rounds]);
    assert.equal(stats.handshake.counts.reduce((sum, n) => sum + n), rounds);
    assert.deepEqual(upstreams.map(({ failures }) => failures), [rounds, 0]);
    if (next) await movePlane(pool, next.pool);
  }
});

Deno.test("a host that is out, and an address that may do nothing more, stay so", async () => {
  const dead = deadAddress();
  const limits = { resume_failures_per_ip: 3, new_per_second_per_ip: 6 };
  const hosts = [{ name: "", addr: dead }, { name: "", addr: "builtin:echo", backup: true }];
  await using first = await open({ hosts, limits });
  await using second = await open({ hosts, limits });
  for (let i = 0; i < 5; i++) await roundOf(first.pool, first.address);
  for (let i = 0; i < 3; i++) (await ask(first.address, UNKNOWN)).link.close();
  await movePlane(first.pool, second.pool);
  const [host] = (await second.pool.snapshot()).upstreams;
  assert.deepEqual([host?.status, host?.failures], ["out", 5]);
  const { link, answer } = await ask(second.address, UNKNOWN).catch((error) => ({ link: undefined, answer: error }));
  link?.close();
  assert.equal((await second.pool.snapshot()).stats.refused.resume_failures_per_ip, 1, String(answer));
});

Deno.test("of counts of another release those are left out that are unknown, or are counted otherwise", () => {
  const own = newCounts();
  const { format, kind, ...around } = { format: 1 as const, kind: "counts" as const, cacheHighWater: 0 };
  const came = {
    stats: {
      ...{ accepts: 7, moves: -1, closes: "many", unknown: 5, resumes: { 200: 3, 404: NaN } },
      ...{ sessionsEnded: { admin: 2, never: 9 }, gap: { bounds: [1], counts: [1, 2], sum: 3 } },
      lag: { ...own.stats.lag, counts: own.stats.lag.counts.map(() => 2), sum: 4 },
    },
    gauges: { cachesShrunk: 4 },
  } as unknown as typeof own;
  const { stats, gauges } = withCame(own, { format, kind, ...around, visitors: [], hosts: [], ...came });
  assert.deepEqual([stats.accepts, stats.moves, stats.closes], [7, 0, 0]);
  assert.deepEqual([stats.resumes, stats.sessionsEnded.admin], [{ 200: 3 }, 2]);
  assert(!("unknown" in stats) && !("never" in stats.sessionsEnded));
  assert.equal(stats.gap.counts.reduce((sum, n) => sum + n), 0);
  assert.equal(stats.lag.counts.reduce((sum, n) => sum + n), 2 * stats.lag.counts.length);
  assert.deepEqual(gauges, { cachesReleased: 0, cachesShrunk: 4, logDropped: 0, kcp: { tooLong: 0, unsent: 0 } });
});
