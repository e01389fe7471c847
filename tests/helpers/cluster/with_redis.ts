import { RedisServer } from "../redis_server.ts";
import type { Keys } from "./member.ts";
import { TestCluster } from "./test_cluster.ts";

/** Which address of the tests Redis has. */
export const REDIS = 2;
/** Milliseconds. */
export const LEASE = 1000;

/** So many nodes, none of which runs yet, and a Redis that does. */
export async function withRedis(
  nodes: number,
  keys: () => Keys = () => ({}),
): Promise<{ cluster: TestCluster; redis: RedisServer } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await RedisServer.start("--bind", "0.0.0.0", "--protected-mode", "no"));
  const cluster = stack.use(TestCluster.prepare({
    nodes,
    keys,
    cluster: (cluster) => ({
      ...{ discovery: "redis", slot: undefined, nodes: undefined },
      redis: { url: `redis://${cluster.here(REDIS)}:${redis.port}`, lease: `${LEASE}ms` },
    }),
  }));
  const all = stack.move();
  return { cluster, redis, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
