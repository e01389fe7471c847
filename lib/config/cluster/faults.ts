import * as v from "valibot";
import { isExposed, isWildcard } from "../addresses/bound.ts";
import { type Fault, faultAt, type Node, type Path } from "../document.ts";
import type { Config } from "../types.ts";
import { formatSize, parseNumber } from "../units.ts";
import { MOST_THREADS } from "./id_bits.ts";
import { clusterSchema, type ClusterSection } from "./schema.ts";

// deno-lint-ignore no-explicit-any -- a file may hold anything
type Anything = any;

/** Something to say of a key of the section. */
type Said = [key: Path, text: string];

/** Which keys are for one way to find each other only. */
const FOR_DISCOVERY: [key: keyof ClusterSection, discovery: ClusterSection["discovery"]][] = [
  ["slot", "static"],
  ["nodes", "static"],
  ["dns", "dns"],
  ["redis", "redis"],
];

/** What is wrong with the section `cluster` of a file although each of its values is right. */
export function clusterFaults({ cluster, workers }: Anything, root: Node): Fault[] {
  if (!isMap(cluster)) return [];
  const section = rightOf(cluster);
  const rules = [trust, room, ownSlot, allSlots, whereOthersAre, whereItIs];
  const faults = rules.flatMap((rule) => [...rule(cluster, section)]).map(([key, text]) =>
    faultAt(root, ["cluster", ...key], text)
  );
  const { threads } = section;
  const wanted = parseNumber(String(workers));
  if (threads === undefined || wanted === undefined || wanted <= threads) return faults;
  return [...faults, faultAt(root, ["workers"], `expected at most cluster.threads, ${threads}`)];
}

/** What is to be said of one that has no fault. */
export function clusterWarnings({ cluster }: Anything, root: Node): Fault[] {
  if (!isMap(cluster)) return [];
  const { discovery } = rightOf(cluster);
  const said = FOR_DISCOVERY.filter(([key, only]) => key in cluster && discovery !== only).map(([key]): Said => [
    [key],
    `has no effect with discovery: ${discovery}`,
  ]);
  if (!("tls" in cluster) && isExposed(cluster.listen)) {
    said.push([
      ["secrets"],
      "without tls they hide nothing: whoever is on the way between nodes reads what they carry",
    ]);
  }
  return said.map(([key, text]) => faultAt(root, ["cluster", ...key], text));
}

/** What a session of version 1 must be able to send again so that it can resume wherever it was carried, in bytes. */
const ENOUGH = 192 * 1024;

/** That clients of version 1 whose connections are carried may be refused, as more is on its way than can be sent again. */
export function tight({ cluster, scp: { reuseBuffer, inFlight } }: Config, root: Node): Fault[] {
  if (!cluster || inFlight === "unbounded" || reuseBuffer >= ENOUGH) return [];
  const text = `below ${formatSize(ENOUGH)} a slow client whose connection another node carries may meet 406`;
  return [faultAt(root, ["scp", "reuse_buffer"], text)];
}

function isMap(value: Anything): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The values that are right, and the defaults; of the others the schema tells. */
function rightOf(cluster: Anything): Partial<ClusterSection> {
  return Object.fromEntries(
    Object.entries(clusterSchema.entries).map(([key, schema]) => {
      const { success, output } = v.safeParse(schema, cluster[key]);
      return [key, success ? output : undefined];
    }),
  );
}

function* trust(cluster: Anything): Generator<Said> {
  const isEmpty = cluster.secrets === undefined || cluster.secrets?.length === 0;
  if (!("tls" in cluster) && isEmpty) yield [["secrets"], "expected secrets, or tls: anyone could be a peer"];
}

function* room(_: Anything, { slots, threads }: Partial<ClusterSection>): Generator<Said> {
  if (slots === undefined || threads === undefined || slots * threads <= MOST_THREADS) return;
  yield [
    ["slots"],
    `expected at most ${MOST_THREADS / threads} with threads: ${threads}, as an id has no room for more`,
  ];
}

function* ownSlot(
  cluster: Anything,
  { role, discovery, slot, slots = Infinity }: Partial<ClusterSection>,
): Generator<Said> {
  const isGiven = "slot" in cluster;
  if (role === "edge" && isGiven) yield [["slot"], "an edge has none: it owns no session"];
  if (role === "node" && discovery === "static" && !isGiven) yield [["slot"], "is missing: that of this node"];
  if (slot !== undefined && slot >= slots) yield [["slot"], `expected a slot below slots, ${slots}`];
}

function* allSlots(_: Anything, { nodes = [], slots = Infinity }: Partial<ClusterSection>): Generator<Said> {
  for (const [i, { slot }] of nodes.entries()) {
    const first = nodes.findIndex((other) => other.slot === slot);
    if (first < i) yield [["nodes", i, "slot"], `is that of nodes[${first}] already`];
    if (slot >= slots) yield [["nodes", i, "slot"], `expected a slot below slots, ${slots}`];
  }
}

function* whereOthersAre(cluster: Anything, { discovery, nodes }: Partial<ClusterSection>): Generator<Said> {
  if (discovery === "static" && nodes?.length === 0) yield [["nodes"], "expected all nodes, each with slot and addr"];
  for (const key of ["dns", "redis"]) {
    if (discovery === key && !(key in cluster)) yield [[key], `is missing: discovery is ${key}`];
  }
}

/** By the DNS others know where it is; by Redis as it says itself; in `nodes` it should be found. */
function* whereItIs(cluster: Anything, section: Partial<ClusterSection>): Generator<Said> {
  const { discovery, slot, nodes = [], listen } = section;
  if (!listen || !isWildcard(listen.hostname) || "advertise" in cluster) return;
  if (discovery === "redis") {
    yield [["advertise"], `is missing: nobody could connect to ${cluster.listen}, which listen says`];
  }
  const isMissing = nodes.length > 0 && slot !== undefined && !nodes.some((node) => node.slot === slot);
  if (discovery === "static" && isMissing) {
    yield [["nodes"], `expected slot ${slot}, which is this node's, or advertise: its address`];
  }
}
