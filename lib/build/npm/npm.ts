/**
 * `deno task npm`: makes the client's npm package in dist/npm, and lib/client/browser.min.js, which is what a browser loads
 * of it. With a directory for an argument the package is made there, and nothing else is written.
 */
import { dirname, join } from "node:path";
import deno from "../../../deno.json" with { type: "json" };
import { DIST, ROOT } from "../compiler.ts";
import { bundle, endBundler, gzippedSize } from "./bundle.ts";
import { checkDeclarations, declarationsOf } from "./declarations.ts";
import { manifest, README } from "./package.ts";

/** The most bytes of the browser's bundle, gzipped. */
const MOST = 12 * 1024;

const ENTRIES = ["client/browser.ts", "client/node.ts"];

async function writeTypes(dir: string): Promise<void> {
  const declarations = declarationsOf(ENTRIES);
  for (const [name, text] of declarations) {
    await Deno.mkdir(join(dir, dirname(name)), { recursive: true });
    await Deno.writeTextFile(join(dir, name), text);
  }
  checkDeclarations([...declarations.keys()].map((name) => join(dir, name)));
}

async function writePackage(dir: string): Promise<Uint8Array<ArrayBuffer>> {
  await Deno.remove(dir, { recursive: true }).catch(() => {}); // there was none
  await Deno.mkdir(dir, { recursive: true });
  const browser = await bundle("browser.ts", { platform: "browser", minify: true });
  await Deno.writeFile(join(dir, "browser.js"), browser);
  await Deno.writeFile(join(dir, "node.js"), await bundle("node.ts", { platform: "node", minify: false }));
  await endBundler();
  await writeTypes(join(dir, "types"));
  await Deno.writeTextFile(join(dir, "package.json"), JSON.stringify(manifest(deno), null, 2) + "\n");
  await Deno.writeTextFile(join(dir, "README.md"), README);
  await Deno.copyFile(join(ROOT, "LICENSE"), join(dir, "LICENSE"));
  return browser;
}

const [dir] = Deno.args;
const browser = await writePackage(dir ?? join(DIST, "npm"));
const gzipped = await gzippedSize(browser);
console.log(`browser.js: ${browser.length} bytes, ${gzipped} gzipped`);
if (gzipped > MOST) {
  throw new Error(`Cannot ship browser.js: gzipped it has ${gzipped} bytes, and at most ${MOST} are wanted`);
}
if (dir === undefined) await Deno.writeFile(join(ROOT, "lib/client/browser.min.js"), browser);
