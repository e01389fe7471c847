/**
 * `deno task npm`: makes the client's npm package in dist/npm, and in lib/client browser.min.js and version1.min.js, which
 * are what a browser loads of it. With a directory for an argument the package is made there, and nothing else is written.
 */
import { dirname, join } from "node:path";
import deno from "../../../deno.json" with { type: "json" };
import { DIST, ROOT } from "../compiler.ts";
import { bundle, endBundler, gzippedSize, type Page, pageBundle } from "./bundle.ts";
import { checkDeclarations, declarationsOf } from "./declarations.ts";
import { manifest, README } from "./package.ts";

/** The most bytes of what every page loads, gzipped. */
const MOST = 12 * 1024;
/** What a page loads. */
const PAGE: Page = { main: "browser.js", version1: "version1.js" };

const ENTRIES = ["client/browser.ts", "client/node.ts"];

async function writeTypes(dir: string): Promise<void> {
  const declarations = declarationsOf(ENTRIES);
  for (const [name, text] of declarations) {
    await Deno.mkdir(join(dir, dirname(name)), { recursive: true });
    await Deno.writeTextFile(join(dir, name), text);
  }
  checkDeclarations([...declarations.keys()].map((name) => join(dir, name)));
}

async function writePage(dir: string): Promise<void> {
  const { main, version1 } = await pageBundle("browser.ts", PAGE);
  await Deno.writeTextFile(join(dir, PAGE.main), main);
  await Deno.writeTextFile(join(dir, PAGE.version1), version1);
  const gzipped = await gzippedSize(main);
  console.log(`${PAGE.main}: ${gzipped} bytes, gzipped; ${PAGE.version1}: ${await gzippedSize(version1)}`);
  if (gzipped > MOST) throw new Error(`Cannot ship ${PAGE.main}: of its ${gzipped} bytes at most ${MOST} are wanted`);
}

/** Writes the page's files of the package in `dir` to lib/client, by names that say what they are. */
async function storePage(dir: string): Promise<void> {
  for (const name of Object.values(PAGE)) {
    // Other names for the bundler would give other short names to everything: it goes by how often a letter is used.
    const text = (await Deno.readTextFile(join(dir, name))).replace(/(?<="\.\/\w+)\.js(?=")/g, ".min.js");
    await Deno.writeTextFile(join(ROOT, "lib/client", name.replace(".js", ".min.js")), text);
  }
}

async function writePackage(dir: string): Promise<void> {
  await Deno.remove(dir, { recursive: true }).catch(() => {}); // there was none
  await Deno.mkdir(dir, { recursive: true });
  await writePage(dir);
  await Deno.writeTextFile(join(dir, "node.js"), await bundle("node.ts", "node"));
  await writeTypes(join(dir, "types"));
  await Deno.writeTextFile(join(dir, "package.json"), JSON.stringify(manifest(deno), null, 2) + "\n");
  await Deno.writeTextFile(join(dir, "README.md"), README);
  await Deno.copyFile(join(ROOT, "LICENSE"), join(dir, "LICENSE"));
}

const [dir = join(DIST, "npm")] = Deno.args;
await writePackage(dir);
if (Deno.args.length === 0) await storePage(dir);
await endBundler();
