import assert from "node:assert/strict";
import { join } from "node:path";
import { PERMISSIONS } from "../../../lib/build/compiler.ts";
import { connect } from "../../../lib/client/mod.ts";
import { Child } from "../../../lib/tools/cluster/child.ts";
import { LocalCluster } from "../../../lib/tools/cluster/cluster.ts";

const MAIN = join(import.meta.dirname!, "..", "..", "..", "main.ts");
const PROGRAM = [Deno.execPath(), "run", ...PERMISSIONS, "--quiet", MAIN];
const sh = (script: string) => ["sh", "-c", script];

Deno.test("a child's lines are told with its name, and who waits for one gets it, or the end", async () => {
  const told: string[] = [];
  const child = new Child("one", sh("echo first; echo second >&2; exit 3"), (line) => told.push(line));
  await child.says(/^first$/);
  await child.says(/^second$/);
  await assert.rejects(child.says(/third/), /one has ended/);
  assert.deepEqual(told.slice(0, 2).toSorted(), ["one   | first", "one   | second"]);
  assert.deepEqual(told.slice(2), ["one   | ended with 3"]);
  await child.stop();
});

Deno.test("a child that is stopped has ended", async () => {
  const told: string[] = [];
  const child = new Child("one", ["sleep", "1000"], (line) => told.push(line));
  await child.stop();
  assert.deepEqual(told, ["one   | ended by SIGINT"]);
});

Deno.test("a cluster is there when its edge gets clients to nodes, and gone when it is stopped", async () => {
  const told: string[] = [];
  const cluster = await LocalCluster.start({ port: 0, program: PROGRAM, redis: [], tell: (line) => told.push(line) });
  try {
    assert.deepEqual(cluster.members.map(({ name }) => name).toSorted(), ["edge", "node1", "node2", "node3"]);
    for (const { manager } of cluster.members) {
      const answer = await fetch(`http://127.0.0.1:${manager}/healthz`);
      assert.equal((await answer.body?.cancel(), answer.status), 200);
    }
    const edge = cluster.members.find(({ name }) => name === "edge")!;
    const connection = await connect(`tcp://127.0.0.1:${edge.clients}`);
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode("echo"));
    await writer.close();
    assert.equal(await new Response(connection.readable).text(), "echo");
  } finally {
    await cluster.stop();
  }
  assert.match(told.join("\n"), /^node\d \| .*session new/m);
  assert.equal(told.filter((line) => line.endsWith("| ended with 0")).length, 4);
  for (const { command } of cluster.members) {
    await assert.rejects(Deno.stat(command.at(-1)!), Deno.errors.NotFound);
  }
});

Deno.test("a cluster of which one cannot be started tells why, and leaves nothing", async () => {
  const told: string[] = [];
  const fails = sh('case "$*" in *edge*) echo "no such edge"; exit 1;; *) echo "ready;"; exec sleep 1000;; esac');
  const start = LocalCluster.start({ port: 0, program: [...fails, "sh"], redis: [], tell: (line) => told.push(line) });
  await assert.rejects(start, /edge has ended: no such edge/);
  assert.equal(told.filter((line) => line.includes("| ended ")).length, 4);
});
