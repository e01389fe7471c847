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

for (const name of ["operation", "configuration", "client"]) {
  Deno.test(`${name}.zh.md has a section for each of the English one, with as many rows, points and blocks`, () => {
    const [english, chinese] = ["md", "zh.md"].map((end) => top(`lib/docs/${name}.${end}`).split(/^## /m));
    assert.equal(chinese!.length, english!.length);
    for (const [i, section] of english!.entries()) {
      for (const pattern of [/^- /gm, /^\|/gm, /^```/gm]) {
        const counts = [section, chinese![i]!].map((text) => text.match(pattern)?.length);
        assert.equal(counts[1], counts[0], `${section.split("\n")[0]}: ${pattern}`);
      }
    }
  });
}

/** What a heading can be linked to by. */
const anchorOf = (heading: string) => heading.toLowerCase().replace(/[^\p{L}\p{N}\p{M} _-]/gu, "").replaceAll(" ", "-");

Deno.test("every link of a document leads to a file, and a section of it, that there is", () => {
  const docs = [...Deno.readDirSync(new URL("../lib/docs/", import.meta.url))].map(({ name }) => `lib/docs/${name}`);
  const files = ["README.md", "README.zh.md", ...docs.filter((file) => file.endsWith(".md"))];
  let count = 0;
  for (const file of files) {
    for (const [, link] of top(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue;
      const [path, anchor] = link!.split("#") as [string, string?];
      const url = new URL(path || file.split("/").at(-1)!, new URL(`../${file}`, import.meta.url));
      assert(Deno.statSync(url).isFile, `${file}: ${link}`);
      const headings = anchor && Deno.readTextFileSync(url).matchAll(/^#+ (.*)$/gm);
      if (headings) assert([...headings].some(([, text]) => anchorOf(text!) === anchor), `${file}: ${link}`);
      count++;
    }
  }
  assert(count > 20, `only ${count} links`);
});

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
