import { build, type BuildOptions, type BuildResult, type Plugin, stop } from "esbuild";
import { basename, join } from "node:path";
import { minify } from "terser";
import { ROOT } from "../compiler.ts";
import { ownNames } from "./own_names.ts";
import { withoutDetails } from "./without_details.ts";
import { withoutUnusedMembers } from "./unused_members.ts";

const OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  write: false,
  format: "esm",
  /** What runtimes must know: the oldest Node that is still kept, and browsers of its time. */
  target: "es2022",
} as const satisfies BuildOptions;

/** One file of all that an entry of lib/client imports; modules of Node stay imports. */
export async function bundle(entry: string, platform: "browser" | "node"): Promise<string> {
  const { outputFiles } = await build({ ...OPTIONS, platform, entryPoints: [join(ROOT, "lib/client", entry)] });
  return outputFiles[0]!.text;
}

/** What a page loads: at once; and when a server speaks version 1 only. Each imports from the other, by the names that they have. */
export interface Page {
  main: string;
  version1: string;
}

/** Those two files of all that an entry of lib/client imports, as short as can be; `names`: what they are called. */
export async function pageBundle(entry: string, names: Page): Promise<Page> {
  const [main, version1, shared] = withoutUnusedMembers((await partsOf(entry)).map(withoutDetails)) as Parts;
  const mangleProps = new RegExp(`^(?:${ownNames([main, version1, shared], entry).join("|")})$`);
  const common = exportsFor(version1);
  const first = await build({
    ...OPTIONS,
    ...{ minify: true, mangleProps, mangleCache: {} },
    stdin: { contents: `export * from "main"; ${common("original", "short")} from "${SHARED}";` },
    plugins: [modules({ main, [SHARED]: shared }, { [VERSION_1]: names.version1 })],
  });
  const second = await build({
    ...OPTIONS,
    ...{ minify: true, mangleProps, mangleCache: first.mangleCache! },
    stdin: { contents: version1 },
    plugins: [modules({ [SHARED]: `${common("short", "original")} from "main";` }, { main: names.main })],
  });
  return { main: await shorter(first), version1: await shorter(second) };
}

type Parts = [main: string, version1: string, shared: string];
/** How the parts import each other. */
const SHARED = "./chunk.js";
const VERSION_1 = "./connection.js";

/**
 * What the bundler makes of an entry, of the one module that it loads later, and of what both have in common: by whole modules, and who
 * imports one has all that it exports of others. So the client imports from the modules of lib/scp and not from its mod.ts.
 */
async function partsOf(entry: string): Promise<Parts> {
  const { outputFiles } = await build({
    ...OPTIONS,
    ...{ splitting: true, outdir: "/", entryNames: "main", chunkNames: "[name]" },
    entryPoints: [join(ROOT, "lib/client", entry)],
  });
  const part = (name: string) => outputFiles.find(({ path }) => basename(path) === basename(name))!.text;
  if (outputFiles.length === 3) return [part("main.js"), part(VERSION_1), part(SHARED)];
  throw new Error(`Cannot bundle ${entry} in two files: it has ${outputFiles.length} parts`);
}

/** The clause that exports, from one name to another, what a part uses of the one that is shared. */
function exportsFor(part: string): (from: "original" | "short", to: "original" | "short") => string {
  const [clause = "", list = ""] = /import \{([^}]*)\} from "\.\/chunk\.js"/.exec(part) ?? [];
  const rest = part.replace(clause, "");
  const used = list.split(",").map((name) => name.trim()).filter((name) => new RegExp(`\\b${name}\\b`).test(rest));
  const names = used.map((original, i) => ({ original, short: `_${i.toString(36)}` }));
  return (from, to) => `export { ${names.map((name) => `${name[from]} as ${name[to]}`).join(", ")} }`;
}

/** Modules by their texts, and such as stay imports of the file of that name. */
function modules(texts: Record<string, string>, files: Record<string, string>): Plugin {
  return {
    name: "modules",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /.*/ }, ({ path }) => {
        const file = files[path];
        return file === undefined ? { path, namespace: "text" } : { path: `./${file}`, external: true };
      });
      onLoad({ filter: /.*/, namespace: "text" }, ({ path }) => ({ contents: texts[path]! }));
    },
  };
}

async function shorter({ outputFiles }: BuildResult): Promise<string> {
  const { code } = await minify(outputFiles![0]!.text, {
    module: true,
    ecma: 2020,
    compress: { passes: 2, sequences: false },
  });
  return code!;
}

/** Ends the bundler's process. */
export async function endBundler(): Promise<void> {
  await stop();
}

/** How many bytes a server sends of a text. */
export async function gzippedSize(text: string): Promise<number> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).bytes()).length;
}
