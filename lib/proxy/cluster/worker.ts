/** A worker: a thread with a data plane of its own. See `worker_pool.ts`, which starts it. */
import type { Config } from "../../config.ts";
import { logInternalErrors, openLog } from "../../log.ts";
import { type Cluster, systemSeams } from "../seams.ts";
import type { SessionQuery } from "../data_plane.ts";
import { type Proxy, startProxy } from "../proxy.ts";
import { connectPort, type Port } from "./rpc.ts";
import { SharedState } from "../shared_state.ts";
import type { Gate } from "../front/visitors.ts";

/** What a worker starts from. */
export interface WorkerOptions {
  /** With the ports that are to be had. */
  config: Config;
  cluster: Cluster;
  /** See `SharedState`. */
  shared: SharedArrayBuffer;
}

let proxy: Proxy;

/** What the maker of a worker may ask of it; first of all, to `start`. */
const methods = {
  start({ config, cluster, shared }: WorkerOptions): void {
    const log = openLog(config.log);
    logInternalErrors(log);
    proxy = startProxy(config, {
      ...systemSeams(log),
      shared: new SharedState(shared),
      cluster,
      gate,
      portOf: ({ port }) => port,
    });
  },
  snapshot: () => proxy.snapshot(),
  sessions: (query: SessionQuery) => proxy.sessions(query),
  session: (id: number) => proxy.session(id),
  endSession: (id: number) => proxy.endSession(id),
  reconfigure(config: Config): Promise<void> {
    openLog(config.log);
    return proxy.reconfigure(config);
  },
  drain: () => proxy.drain(),
  stop: () => proxy.stop(),
};
export type WorkerMethods = typeof methods;

/** What a worker asks of its maker. */
export type MakerMethods = { [K in keyof Gate]: Gate[K] };

const gate = connectPort<MakerMethods>(self as unknown as Port, methods);
