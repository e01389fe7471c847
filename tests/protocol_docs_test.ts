import assert from "node:assert/strict";
import { createECDH, createHash, createHmac, hkdfSync } from "node:crypto";
import { RULES } from "../lib/tools/check/rules.ts";
import { RULES_OF_2 } from "../lib/tools/check/v2/rules.ts";

const document = (file: string) => Deno.readTextFileSync(new URL(`../lib/docs/${file}`, import.meta.url));
const ENGLISH = document("protocol.md");
const CHINESE = document("protocol.zh.md");

/** The titles of the sections, in their order. */
const titles = (text: string) => [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title!);

/** The section of that title, without it. */
function section(text: string, title: string): string {
  const [, after] = text.split(`\n## ${title}\n`);
  assert(after, title);
  return after.split("\n## ")[0]!;
}

/** The indented blocks of a text. */
const blocks = (text: string) =>
  [...text.matchAll(/(?:^ {4}.*\n)+/gm)].map(([block]) => block.replace(/^ {4}|\n$/gm, ""));

/** The bytes in the tables of a text. */
const bytesIn = (text: string) => [...text.matchAll(/\| `([0-9a-f]+)` /g)].map(([, hex]) => hex!);

function record(content: string): Uint8Array {
  const bytes = new TextEncoder().encode(content);
  return Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes);
}

Deno.test("goscon check cites sections that the protocol's document has", () => {
  for (const { section } of [...RULES, ...RULES_OF_2]) {
    assert(titles(ENGLISH).includes(section.replace(/, \d+$/, "")), section);
  }
});

Deno.test("the document has the sections of version 2 that are cited", () => {
  for (const title of ["Negotiation", "Frames", "Flow", "Resume", "Ends", "Liveness"]) {
    section(ENGLISH, `Version 2: ${title}`);
  }
  section(ENGLISH, "Version 2: What a correct implementation must get right");
});

Deno.test("the Chinese document has a section for each of the English one, with the same blocks and as many points", () => {
  assert.equal(titles(CHINESE).length, titles(ENGLISH).length);
  for (const [i, title] of titles(ENGLISH).entries()) {
    const [english, chinese] = [section(ENGLISH, title), section(CHINESE, titles(CHINESE)[i]!)];
    for (const pattern of [/^\d+\. /gm, /^- /gm, /^\|/gm, /\n\n {4}\S/g]) {
      assert.equal(chinese.match(pattern)?.length, english.match(pattern)?.length, `${title}: ${pattern}`);
    }
  }
});

for (const [text, title] of [[ENGLISH, "Version 2: A worked example"], [CHINESE, "第 2 版：一个完整的例子"]] as const) {
  Deno.test(`${title}: the values are those of another implementation`, () => {
    const example = section(text, title);
    const [request, answer, values, ...exchanges] = blocks(example);
    assert(request && answer && values);
    const client = createECDH("prime256v1");
    client.setPrivateKey("11".repeat(32), "hex");
    const server = createECDH("prime256v1");
    server.setPrivateKey("22".repeat(32), "hex");
    assert(request.includes(`\n2 ${client.getPublicKey("base64")} `));
    assert(answer.includes(`\n2 ${server.getPublicKey("base64")} `));
    const secret = client.computeSecret(server.getPublicKey());
    const salt = createHash("sha256").update(record(request)).update(record(answer)).digest();
    const key = Buffer.from(hkdfSync("sha256", secret, salt, "SCP/2 resume", 32));
    const hex = [secret, salt, key].map((bytes) => bytes.toString("hex"));
    assert.deepEqual(values.split("\n").map((line) => line.split(/ +/).at(-1)), hex);

    const signed = [...example.matchAll(/`(\w+(?:\\n\d+)+\\n)`/g)].map(([, input]) => input!.replaceAll("\\n", "\n"));
    const macs = signed.map((input) => createHmac("sha256", key).update(input).digest("base64"));
    assert.deepEqual(exchanges.map((block) => block.split(" ").at(-1)), macs);
    assert.equal(macs.length, 3);
    assert.deepEqual(bytesIn(example), bytesIn(section(ENGLISH, "Version 2: A worked example")));
  });
}
