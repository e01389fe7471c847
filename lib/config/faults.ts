import type * as v from "valibot";
import { boundBy, isExposed, listenersOf, oneSpelling, taken } from "./addresses/bound.ts";
import { clusterFaults } from "./cluster/faults.ts";
import { type Fault, faultAt, type Node, type Path } from "./document.ts";
import { faultOfMove, type Scheme } from "./addresses/move_url.ts";
import { faultsOfKcpEntry, faultsOfKcpOption, halfFec } from "./kcp/faults.ts";
import { schema } from "./schema.ts";
import type { Config } from "./types.ts";
import { formatSize, parseFlag } from "./units.ts";

/** What the schema found wrong; nothing for an unknown key, of which the schema names but the first: see `unknownKeys`. */
export function* faultsOf(issues: readonly v.BaseIssue<unknown>[], root: Node): Generator<Fault> {
  for (const issue of issues) {
    const path = (issue.path ?? []).map(({ key }) => key as string | number);
    const ofMap = issue.type === "strict_object" && issue.expected !== "Object";
    if (!ofMap) yield faultAt(root, path, issue.message);
    else if (issue.expected !== "never") yield faultAt(root, path, "is missing");
  }
}

/** Every key of a file that the schema does not know, and every list that should have keys. */
export function* unknownKeys({ value, at }: Node, path: Path = []): Generator<Fault> {
  const known = keysAt(path);
  if (Array.isArray(value)) {
    // The schema takes a list for a map with keys 0, 1, 2.
    if (known.length > 0) yield { path, at, text: "expected a map, not a list" };
    if (keysAt([...path, 0]).length === 0) return;
    for (const [i, item] of value.entries()) yield* unknownKeys(item, [...path, i]);
  }
  if (!(value instanceof Map) || known.length === 0) return;
  for (const [name, { keyAt, node }] of value) {
    if (known.includes(name)) yield* unknownKeys(node, [...path, name]);
    else yield { path: [...path, name], at: keyAt, text: `unknown key${hint(name, known)}` };
  }
}

function hint(name: string, known: string[]): string {
  const closest = known.map((other) => [distance(other, name), other] as const).toSorted(([a], [b]) => a - b)[0]!;
  return closest[0] <= 2 ? `; did you mean ${closest[1]}?` : "";
}

/** The keys that the schema knows at a place; none: any are right there. */
function keysAt(path: Path): string[] {
  let here = schema as SchemaNode | undefined;
  for (const key of path) {
    here = unwrapped(here);
    here = typeof key === "number" ? here?.item : here?.entries?.[key];
  }
  return Object.keys(unwrapped(here)?.entries ?? {});
}

/** What the walk sees of a schema. */
interface SchemaNode {
  wrapped?: SchemaNode;
  item?: SchemaNode;
  entries?: Record<string, SchemaNode>;
}

function unwrapped(node: SchemaNode | undefined): SchemaNode | undefined {
  return node?.wrapped ? unwrapped(node.wrapped) : node;
}

/** How many letters must be added, left out or changed to make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

// deno-lint-ignore no-explicit-any -- a file may hold anything
type Anything = any;

/** What is wrong with a file although each of its values is right. */
export function meaningless(input: Anything, root: Node): Fault[] {
  if (Array.isArray(input) || typeof input !== "object" || input === null) return [];
  const faults: Fault[] = [];
  const { hosts } = input;
  const isEdge = input.cluster?.role === "edge";
  if ((hosts === undefined || hosts === null || hosts.length === 0) && !input.upstream_option?.resolv && !isEdge) {
    faults.push(faultAt(root, ["hosts"], "expected at least one host, or upstream_option.resolv"));
  }
  const list = Array.isArray(input.listen) ? input.listen : [];
  const used = listenersOf(input);
  faults.push(...faultsOfKcpOption(input.kcp_option, root));
  if (used.length === 0 && (input.tcp === "" || Array.isArray(input.listen))) {
    faults.push(faultAt(root, [Array.isArray(input.listen) ? "listen" : "tcp"], "expected at least one listener"));
  }
  faults.push(...taken(boundBy(input), root));
  const named = (Array.isArray(hosts) ? hosts : []).map((host: Anything) =>
    `${host?.name ?? ""} ${oneSpelling(host?.addr)}`
  );
  named.forEach((name, i) => {
    const first = named.indexOf(name);
    if (first < i) faults.push(faultAt(root, ["hosts", i], `has the name and addr of hosts[${first}]`));
  });
  list.forEach((entry: Anything, i: number) => {
    for (const [key, text] of meaninglessInListen(entry)) faults.push(faultAt(root, ["listen", i, ...key], text));
  });
  if (isExposed(input.manager) && !input.manager_token) {
    faults.push(
      faultAt(root, ["manager"], "expected manager_token, or a loopback address: anybody could end sessions"),
    );
  }
  return [...faults, ...clusterFaults(input, root)];
}

/** What is wrong with an entry of `listen` whose keys are each right: where, and what. */
function* meaninglessInListen(entry: Anything): Generator<[key: Path, text: string]> {
  if (typeof entry !== "object" || entry === null) return;
  const [first, ...others] = ["tcp", "ws", "kcp"].filter((kind) => kind in entry);
  if (first === undefined) yield [[], "expected tcp, ws or kcp: where to listen"];
  for (const other of others) yield [[other], `a listener is tcp, ws or kcp, not both ${first} and ${other}`];
  yield* faultsOfKcpEntry(entry);
  for (const key of ["path", "origins", "ping_interval"]) {
    if (key in entry && !("ws" in entry)) yield [[key], "only a listener of WebSockets (ws) has this"];
  }
  const fault = typeof entry.public === "string" ? faultOfMove(entry.public, schemesOf(entry)) : undefined;
  if (fault) yield [["public"], fault];
  if (parseFlag(String(entry.accept_proxy)) !== true) return;
  if (entry.kcp) return;
  const at = ["accept_proxy"];
  if (entry.tls) yield [at, "the header of the PROXY protocol comes before TLS: let the proxy in front end it"];
  if (entry.ws) yield [at, "not with ws: there the proxies that are `trusted` tell it by X-Forwarded-For or Forwarded"];
  if (!(entry.trusted?.length > 0)) {
    yield [at, "expected `trusted`: the addresses of the proxies that tell who the client is"];
  }
}

/** By which schemes clients may come to a listener: by those of TLS also when it has none, as something in front may end that. */
function schemesOf({ ws, kcp, tls }: Anything): Scheme[] {
  if (kcp) return ["kcp:"];
  const [clear, secret]: [Scheme, Scheme] = ws ? ["ws:", "wss:"] : ["tcp:", "tls:"];
  return tls ? [secret] : [clear, secret];
}

/** What goscon has and we cannot honour, where the file sets it to what would matter; and what lets in more than one may think. */
export function notHonoured(input: Anything, root: Node): Fault[] {
  const rules: [Path, unknown, string][] = [
    [
      ["upstream_option", "resolv"],
      input.upstream_option?.resolv && !input.upstream_option.resolv.prefix && !input.upstream_option.resolv.suffix,
      "without prefix and suffix a client may have any name looked up, and be connected to it: localhost as well",
    ],
  ];
  const found = rules.filter(([, value]) => value).map(([path, , text]) => faultAt(root, path, text));
  const hosts: Anything[] = input.hosts ?? [];
  hosts.forEach((host, i) => {
    if ("weigh" in host) found.push(faultAt(root, ["hosts", i, "weigh"], "has no effect; did you mean weight?"));
  });
  return [...found, ...halfFec(input.kcp_option, root)];
}

/** What `reuse_buffer` has to be for phones to be served well enough, in bytes: the default. */
const ENOUGH = 256 * 1024;
/** What is said of it is said of a network with such a round trip, in milliseconds. */
const ROUND_TRIP = 50;

/** That the bound of what is on its way makes clients slow: half of `reuse_buffer` comes in a round trip. */
export function slow({ reuseBuffer, inFlight }: Config["scp"], root: Node): Fault[] {
  if (inFlight === "unbounded" || reuseBuffer >= ENOUGH) return [];
  // Bytes a millisecond are kB/s.
  const rate = (bytes: number) => `${Math.round(bytes / 2 / ROUND_TRIP)} kB/s`;
  const text = `with in_flight: bounded a client gets about ${rate(reuseBuffer)} over ${ROUND_TRIP} ms; ` +
    `with ${formatSize(ENOUGH)} ${rate(ENOUGH)}`;
  return [faultAt(root, ["scp", "reuse_buffer"], text)];
}

/** Within so many milliseconds a network that works may be silent: while a phone changes cells, say. */
const SILENCE = 3000;

/** That clients are taken for lost which are not: where PINGs are sent, and an answer is not waited for long enough. */
export function impatient({ version, v2 }: Config["scp"], root: Node): Fault[] {
  if (version === 1 || v2.pingInterval === 0 || v2.pingTimeout >= SILENCE) return [];
  const text = "below 3s a client whose network is slow for a moment is taken for lost";
  return [faultAt(root, ["scp", "v2", "ping_timeout"], text)];
}
