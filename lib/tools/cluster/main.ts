/** `deno task cluster`: three nodes, an edge and Redis on this machine, to try what a cluster does. `--port N`: of the edge. */
import { parseArgs } from "node:util";
import { join } from "node:path";
import { LocalCluster } from "./cluster.ts";
import { LOOPBACK } from "./members.ts";

const ROOT = join(import.meta.dirname!, "..", "..", "..");
const SOURCE = ["run", "-A", "--v8-flags=--max-semi-space-size=8", "--quiet", join(ROOT, "main.ts")];

/** What is told at the start. */
function summaryOf({ members, redis }: LocalCluster): string {
  const edge = members.find(({ name }) => name === "edge")!;
  const node = members.find(({ name }) => name !== "edge")!;
  const file = node.command.at(-1)!.replace(node.name, "NAME");
  const rows = members.map(({ name, pid, clients, manager }) =>
    `  ${name}  pid ${pid}  clients ${LOOPBACK}:${clients}  manager http://${LOOPBACK}:${manager}/`
  );
  const found = redis === undefined
    ? "nodes find each other as they are listed (discovery: static); where redis-server is installed, by that"
    : `nodes find each other by Redis: redis-cli -p ${redis}`;
  const tries = [
    [
      `deno task start connect ${LOOPBACK}:${edge.clients}`,
      "what is typed comes back; 'session new' above tells from which node",
    ],
    [`kill -9 ${edge.pid}`, "the edge is gone; start it again, and every session goes on"],
    [`kill ${node.pid}`, `drains ${node.name}, which ends when its last session has`],
    [`kill -9 ${node.pid}`, "its sessions are gone, which their clients hear within a second; nobody else feels it"],
    [`curl http://${LOOPBACK}:${edge.manager}/cluster`, "who is there, and how it is"],
  ] as const;
  const width = Math.max(...tries.map(([command]) => command.length));
  return [
    "",
    ...rows.toSorted(),
    "",
    `The ${found}. To try, in other terminals:`,
    ...tries.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`),
    `To start one again: ${[...node.command.slice(0, -1), file].join(" ")}`,
    "Ctrl-C ends all.",
    "",
  ].join("\n");
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { port: { type: "string", default: "1248" } } });
  const binary = Deno.env.get("GOSCON_BIN");
  const program = binary ? [binary] : [Deno.execPath(), ...SOURCE];
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => end());
  await using cluster = await LocalCluster.start({ port: Number(values.port), program, tell: console.log });
  console.log(summaryOf(cluster));
  await ended;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
Deno.exit(0);
