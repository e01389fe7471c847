import type { ClusterOptions, Config } from "../../config.ts";
import type { Endpoint } from "../../link/link.ts";
import { publicsOf } from "../publics.ts";
import type { Offering } from "./nodes/cluster_node_options.ts";

/** Where peers reach this process. */
export function addressOf({ advertise, discovery, nodes, slot, listen }: ClusterOptions): Endpoint {
  const listed = discovery === "static" ? nodes.find((node) => node.slot === slot) : undefined;
  const { hostname, port } = advertise ?? listed ?? listen;
  return { hostname, port };
}

/** What others are told of a process with that configuration, which has a cluster. */
export function offeringOf(config: Config): Offering {
  const { cluster, scp } = config;
  const { serves, weight } = cluster!;
  return {
    serves,
    weight,
    publics: publicsOf(config),
    reuseTime: Math.max(scp.reuseTime, scp.v2.reuseTime),
  };
}
