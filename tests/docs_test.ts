import assert from "node:assert/strict";
import { metricsText } from "../lib/admin/manager/metrics.ts";
import schema from "../lib/config/schema.json" with { type: "json" };
import dashboard from "../lib/docs/grafana-dashboard.json" with { type: "json" };
import { clusterInfo, describedNode } from "./helpers/cluster_info.ts";
import { TestProxy } from "./helpers/proxy.ts";

const top = (file: string) => Deno.readTextFileSync(new URL(`../${file}`, import.meta.url));

/** What the Go program has and has no effect here, or is another way to write something. */
const UNDOCUMENTED = /^weigh$/;

/** The names of all keys of a configuration. */
function* keysOf(node: unknown): Generator<string> {
  if (typeof node !== "object" || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    if (key === "properties") yield* Object.keys(value).filter((name) => !UNDOCUMENTED.test(name));
    // goscon documents these.
    if (key !== "kcp_option") yield* keysOf(value);
  }
}

Deno.test("config.yaml documents every key", () => {
  const text = top("config.yaml");
  for (const key of keysOf(schema)) assert.match(text, new RegExp(`\\b${key}\\b:?`), key);
});

for (const file of ["lib/docs/configuration.md", "lib/docs/configuration.zh.md"]) {
  Deno.test(`the table of ${file} has every key`, () => {
    const text = top(file);
    for (const key of keysOf(schema)) assert.match(text, new RegExp(`\`[^\`]*\\b${key}\\b[^\`]*\``), key);
  });
}

Deno.test("the Grafana dashboard shows metrics that there are", async () => {
  await using proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }] });
  const cluster = clusterInfo([describedNode(2)]);
  const metrics = await metricsText({ ...await proxy.proxy.snapshot(), cluster });
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      const names = [...expr.matchAll(/\b(?:goscon|process)_\w+/g)].map(([name]) => name);
      assert(names.length > 0, title);
      for (const name of names) {
        assert.match(metrics, new RegExp(`^# TYPE ${name.replace(/_(bucket|sum|count)$/, "")} `, "m"), name);
      }
    }
  }
});
