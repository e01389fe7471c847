import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { idsOfThread, parseConfig } from "../../lib/config.ts";
import { HAS_OPENSSL } from "../helpers/programs.ts";

const read = (file: string) => Deno.readTextFileSync(new URL(`../../lib/docs/${file}`, import.meta.url));
const ENGLISH = read("cluster.md");
const CHINESE = read("cluster.zh.md");

/** What stands in the blocks of a language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block!);
}

/** The cells of a row of a table, without the first, each as a number where it has one. */
function rowOf(text: string, start: string): string[] {
  const row = text.split("\n").find((line) => line.startsWith(`| ${start}`));
  assert(row, start);
  return row.split("|").slice(2, -1).map((cell) => cell.trim().replaceAll(",", ""));
}

const EXAMPLES = blocks(ENGLISH, "yaml");

for (const [i, example] of EXAMPLES.entries()) {
  Deno.test(`example ${i + 1} of the cluster's document is a configuration, of which there is nothing to say`, () => {
    assert.deepEqual(parseConfig(example, "cluster.md").warnings, []);
  });
}

Deno.test("the examples have each way to find others, and each role", () => {
  const clusters = EXAMPLES.map((example) => parseConfig(example, "cluster.md").config.cluster!);
  assert.deepEqual(clusters.map(({ discovery }) => discovery), ["static", "dns", "redis", "static"]);
  assert.deepEqual(clusters.map(({ role }) => role), ["node", "node", "node", "edge"]);
});

Deno.test("the numbers of 10, 100 and 1,000 nodes are those that the configuration allows", () => {
  const nodes = rowOf(ENGLISH, "nodes ").map(Number);
  const layouts = ENGLISH.split("\n").find((line) => line.startsWith("| `slots`"))!.split("|").slice(2, -1)
    .map((cell) => cell.replace(/(\d),(\d)/, "$1$2").split(",").map(Number));
  const sessions = rowOf(ENGLISH, "sessions a thread").map(Number);
  const watches = rowOf(ENGLISH, "watches").map(Number);
  assert.equal(nodes.length, 3);
  for (const [i, [slots, threads]] of layouts.entries()) {
    const count = nodes[i]!;
    assert(slots! >= count);
    const cluster = { name: "x", listen: "127.0.0.1:1250", secrets: ["0123456789abcdef"], slots, threads };
    const rest = { slot: 0, nodes: [{ slot: 0, addr: "127.0.0.1:1250" }] };
    parseConfig(JSON.stringify({ hosts: [{ addr: "builtin:echo" }], cluster: { ...cluster, ...rest } }), "layout");
    assert.equal(sessions[i], idsOfThread({ slots: slots!, threads: threads! }));
    assert.equal(watches[i], count * (count - 1) + count * count);
  }
});

Deno.test("the commands for certificates make what peers take", { ignore: !HAS_OPENSSL }, async () => {
  const dir = Deno.makeTempDirSync();
  try {
    const [commands] = blocks(ENGLISH, "sh");
    const output = { stdout: "null", stderr: "piped" } as const;
    const command = new Deno.Command("sh", { args: ["-euc", commands!], cwd: dir, ...output });
    const { success, stderr } = await command.output();
    assert(success, new TextDecoder().decode(stderr));
    const [ca, own] = ["ca", "tls"].map((name) => new X509Certificate(Deno.readTextFileSync(`${dir}/${name}.crt`)));
    assert(ca!.ca && !own!.ca);
    assert(own!.checkIssued(ca!) && own!.verify(ca!.publicKey));
    const file = EXAMPLES[0]!.replaceAll("/etc/goscon", dir);
    assert.equal(own!.checkHost(parseConfig(file, "cluster.md").config.cluster!.tls!.name), "goscon-cluster");
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("the Chinese document has a section for each of the English one, with the same blocks, rows and points", () => {
  const parts = (text: string) => text.split(/^## /m);
  assert.equal(parts(CHINESE).length, parts(ENGLISH).length);
  for (const [i, english] of parts(ENGLISH).entries()) {
    const chinese = parts(CHINESE)[i]!;
    for (const language of ["yaml", "sh"]) assert.deepEqual(blocks(chinese, language), blocks(english, language));
    for (const pattern of [/^- /gm, /^\|/gm, /^ {4}\S/gm]) {
      assert.equal(
        chinese.match(pattern)?.length,
        english.match(pattern)?.length,
        `${english.split("\n")[0]}: ${pattern}`,
      );
    }
  }
});
