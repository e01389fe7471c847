import assert from "node:assert/strict";
import { join } from "node:path";
import { clientStage } from "../helpers/client_stage.ts";
import { HAS_BUNDLER, makePackage } from "../helpers/npm_package.ts";
import { isInstalled } from "../helpers/programs.ts";

const TOTAL = 100_000;
const HELPERS = join(import.meta.dirname!, "..", "helpers");

/** The Node to test with. */
const NODE = Deno.env.get("GOSCON_NODE") ?? "node";
const HAS_NODE = isInstalled(NODE);

/** A directory with the package, and what uses it. */
const directory = HAS_BUNDLER ? await Deno.makeTempDir() : "";
let built: Promise<string> | undefined;
const build = () => built ??= makePackage(directory);

Deno.test("lib/client/browser.min.js is what deno task npm writes", { ignore: !HAS_BUNDLER }, async () => {
  const browser = await Deno.readTextFile(join(await build(), "browser.js"));
  const stored = await Deno.readTextFile(join(import.meta.dirname!, "../../lib/client/browser.min.js"));
  assert(browser === stored, "the client was changed: run deno task npm");
  assert.doesNotMatch(browser, /\bDeno\b|\bimport\b|\brequire\b/);
});

Deno.test("the npm package names files that it has", { ignore: !HAS_BUNDLER }, async () => {
  const path = await build();
  const text = await Deno.readTextFile(join(path, "package.json"));
  const { name, type, exports } = JSON.parse(text);
  assert.deepEqual([name, type], ["goscon-client", "module"]);
  assert.deepEqual(Object.keys(exports["."]), ["browser", "node", "default"]);
  for (const [, file] of text.matchAll(/"(\.\/[^"]+)"/g)) await Deno.stat(join(path, file!));
  for (const file of ["README.md", "LICENSE"]) await Deno.stat(join(path, file));
});

async function inNode(flags: string[], args: string[]): Promise<{ sent: number; received: number; resumes: number }> {
  await build();
  for (const file of ["node_client.js", "numbers.js"]) {
    await Deno.copyFile(join(HELPERS, file), join(directory, file.replace("node_client.js", "client.mjs")));
  }
  await Deno.writeTextFile(join(directory, "package.json"), '{"type":"module"}');
  // Node 20 has a WebSocket only when asked.
  const options = { args: ["--experimental-websocket", ...flags, join(directory, "client.mjs"), ...args] };
  const { success, stdout, stderr } = await new Deno.Command(NODE, options).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const CASES = [
  ["tcp", "goscon", []],
  ["ws", "plain", []],
  ["ws", "plain", ["--conditions=browser"]],
] as const;

for (const [scheme, dialect, flags] of CASES) {
  const name = `the client loses nothing in Node over ${scheme} ${flags.join(" ")}, however often its network is cut`;
  Deno.test(name, { ignore: !HAS_BUNDLER || !HAS_NODE }, async () => {
    await using stage = clientStage(TOTAL, 100_000);
    const { sent, received, resumes } = await inNode([...flags], [stage[scheme], dialect, String(TOTAL)]);
    assert.deepEqual(await stage.backend.outcome, { sent: received, received: sent }, `GOSCON_SEED=${stage.seed}`);
    assert(resumes >= 5, `it resumed ${resumes} times only`);
  });
}
