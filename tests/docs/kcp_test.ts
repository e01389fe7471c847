import assert from "node:assert/strict";
import { parse } from "yaml";
import { metricsText } from "../../lib/admin/manager/metrics.ts";
import { parseConfig } from "../../lib/config.ts";
import { TestProxy } from "../helpers/proxy.ts";

const read = (file: string) => Deno.readTextFileSync(new URL(`../../lib/docs/${file}`, import.meta.url));
const ENGLISH = read("kcp.md");
const CHINESE = read("kcp.zh.md");

/** What stands in the blocks of a language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block!);
}

const [OURS, OF_GOSCON, PORTS] = blocks(ENGLISH, "yaml");

Deno.test("the first example of KCP's document is the defaults", () => {
  const { config, warnings } = parseConfig(OURS!, "kcp.md");
  const { config: short } = parseConfig("{listen: [{kcp: 0.0.0.0:1248}], hosts: [{addr: 10.0.0.5:8888}]}", "defaults");
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.listen[1], short.listen[0]);
});

Deno.test("its example of goscon's is the same but for FEC, and there is nothing to say of it", () => {
  const { config, warnings } = parseConfig(OF_GOSCON!, "kcp.md");
  assert.deepEqual(warnings, []);
  const withFec = OURS!.replace(/^ +read_timeout/m, "    fec: { data: 10, parity: 3 }\n$&");
  assert.deepEqual(config.listen, parseConfig(withFec, "kcp.md").config.listen);
});

Deno.test("the ports of its Service are those that edges.yaml has, and one of UDP of the same number", () => {
  const ports = parse(PORTS!).ports;
  const edges = read("kubernetes/edges.yaml");
  assert.match(edges, /^ {4}- \{ name: goscon, port: 1248, targetPort: goscon \}$/m);
  assert.deepEqual(ports[0], { name: "goscon", port: 1248, targetPort: "goscon" });
  assert.deepEqual([ports[1].port, ports[1].protocol], [1248, "UDP"]);
});

Deno.test("KCP's document has every metric of KCP that there is, and no other", async () => {
  await using proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }] });
  const names = (text: string, pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map(([, name]) => name!))];
  const there = names(await metricsText(await proxy.proxy.snapshot()), /^# TYPE (goscon_kcp_\w+) /gm);
  assert(there.length > 5);
  for (const text of [ENGLISH, CHINESE]) {
    assert.deepEqual(names(text, /`(goscon_kcp_\w+)`/g).sort(), there.sort());
  }
});

Deno.test("the Chinese document of KCP has a section for each of the English one, with the same blocks, rows and points", () => {
  const parts = (text: string) => text.split(/^## /m);
  assert.equal(parts(CHINESE).length, parts(ENGLISH).length);
  for (const [i, english] of parts(ENGLISH).entries()) {
    const chinese = parts(CHINESE)[i]!;
    for (const language of ["yaml", "sh", "ts"]) assert.deepEqual(blocks(chinese, language), blocks(english, language));
    for (const pattern of [/^- /gm, /^\|/gm]) {
      assert.equal(
        chinese.match(pattern)?.length,
        english.match(pattern)?.length,
        `${english.split("\n")[0]}: ${pattern}`,
      );
    }
  }
});
